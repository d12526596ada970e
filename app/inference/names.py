"""Names that settings and answers use; nothing heavy is imported for them."""

from typing import Literal

EngineName = Literal["auto", "openvino", "torch"]
"""auto: torch where it finds a GPU, else OpenVINO"""

CheckpointStatus = Literal["loaded", "available", "failed"]
"""whether a checkpoint answers at once, after loading, or not at all"""

Reason = Literal["silent", "unfamiliar", "no_voice"]
"""why something has no label"""
