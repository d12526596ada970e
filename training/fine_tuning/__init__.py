"""Fine-tuning of pretrained speech encoders for emotion."""

TASK = "emotion"
