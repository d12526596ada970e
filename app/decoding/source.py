"""What a decoder offers: facts about a recording, then its samples in blocks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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

    @property
    def info(self) -> AudioInfo:
        """What the file says of itself."""
        ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples once, in order, as float32 blocks of shape `[frames]`, none empty.

        They are the mean of the channels, full scale is -1..1. Raises CorruptAudioError where
        decoding fails or the file ends before what it declares.
        """
        ...


AudioOpener = Callable[[bytes], AbstractContextManager[AudioSource]]
"""opens a file held in memory; raises an AudioError where it cannot"""


def downmix(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the channels of a block `[frames, channels]`, shape `[frames]`."""
    channels = block.shape[1]
    # By BLAS: NumPy's mean over an axis as short as two takes ten times as long.
    with np.errstate(invalid="ignore"):  # infinities are for the reader to refuse
        mono: NDArray[np.float32] = block @ np.full(channels, 1 / channels, np.float32)
    return mono
