"""What a decoder offers: facts about a recording, then its samples in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 1 << 18
"""of a block: a few seconds, so that a short recording is one block and a long one is not held"""


@dataclass(frozen=True)
class AudioInfo:
    """What the file says of itself, before any conversion."""

    sample_rate: int
    """Hz"""
    channels: int
    format: str
    """container, in lower case: `wav`, `flac`, `ogg`, `mp3`, `mp4`, `webm`, ..."""
    seconds: float | None
    """duration as declared, `None` where the file does not say"""


class AudioSource(Protocol):
    """One opened recording."""

    info: AudioInfo

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples once, in order, as float32 blocks of shape `[frames, channels]`.

        Full scale is -1..1. Raises CorruptAudioError where decoding fails or the file
        ends before what it declares.
        """
        ...
