"""Pictures of sound: spectrograms, and class activation maps over them."""
