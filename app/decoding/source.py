"""An opened recording as every decoder offers it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.decoding.errors import CorruptAudioError

BLOCK_FRAMES = 1 << 18
"""of a block: a few seconds, so that a short recording is one block and a long one is not held"""


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


class AudioSource(Protocol):
    """An opened recording."""

    @property
    def metadata(self) -> AudioMetadata:
        """Facts that the file declares."""
        ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples once, in order, as float32 blocks `[frames, channels]`, none empty.

        Full scale is -1..1. Raises CorruptAudioError where decoding fails or the file ends before
        what it declares.
        """
        ...


AudioOpener = Callable[[bytes], AbstractContextManager[AudioSource]]
"""opens a file held in memory; raises an AudioError where it cannot"""


def require_whole_ogg(data: bytes) -> None:
    """Check that the last page is whole (RFC 3533, section 6: header, segment table, body)."""
    page = data.rfind(b"OggS")
    table = page + 27
    segments = data[table - 1] if table <= len(data) else 0
    end = table + segments + sum(data[table : table + segments])
    if end > len(data):
        raise CorruptAudioError("the ogg file is truncated: its last page is not whole")
