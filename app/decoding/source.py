"""An opened recording as every decoder offers it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 1 << 18
"""of a block: a few seconds, so that a short recording is one block and a long one is not held"""
TOLERATED_SECONDS = 0.1
"""of what a file declares, so much may be missing, or more than it be there: encoders round up to
their frames, of which the longest in use last 60 ms, and some headers count themselves"""


@dataclass(frozen=True)
class AudioMetadata:
    """Facts that a file declares, before any conversion."""

    sample_rate: int
    """Hz"""
    channels: int
    format: str
    """container, in lower case: `wav`, `flac`, `ogg`, `mp3`, `mp4`, `webm`, ..."""
    seconds: float | None
    """duration as declared, `None` where the file does not say"""
    track: int | None = None
    """the sound track that is read, from 1, `None` where the file has no other"""


class AudioSource(Protocol):
    """An opened recording."""

    @property
    def metadata(self) -> AudioMetadata:
        """Facts that the file declares."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the file was passed over or is silence in its place; complete after `blocks`."""
        ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples once, in order, as float32 blocks `[frames, channels]`, none empty.

        Full scale is -1..1. Raises CorruptAudioError where decoding fails or the file ends before
        what it declares.
        """
        ...


AudioOpener = Callable[[bytes], AbstractContextManager[AudioSource]]
"""opens a file held in memory; raises an AudioError where it cannot"""
