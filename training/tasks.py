"""The tasks that Earshot answers and the labels of each."""

from typing import Literal, get_args

TaskName = Literal["emotion", "urban-sound"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)

LABELS: dict[TaskName, tuple[str, ...]] = {
    "emotion": ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
    # In the order of UrbanSound8K's classID.
    "urban-sound": (
        "air_conditioner",
        "car_horn",
        "children_playing",
        "dog_bark",
        "drilling",
        "engine_idling",
        "gun_shot",
        "jackhammer",
        "siren",
        "street_music",
    ),
}
