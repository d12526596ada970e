"""An opened recording as every decoder offers it, and the choice of the decoder."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.decoding.errors import CorruptAudioError

BLOCK_FRAMES = 1 << 18
"""of a block: a few seconds, so that a short recording is one block and a long one is not held"""

_WAV_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_W64_MAGIC, _AIFF_MAGIC = b"riff", b"FORM"
_OGG_CODEC = 28  # offset of the codec's own header in the first page (RFC 3533, section 6)
# Of STREAMINFO, the last 36 bits before the MD5 sum (RFC 9639, section 8.2).
_FLAC_TOTAL_SAMPLES = slice(18, 26)


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


def is_decoded_by_libsndfile(data: bytes) -> bool:
    """Return whether libsndfile decodes a file with these first bytes; otherwise FFmpeg does.

    libsndfile knows MP3 too, but writes what it thinks of a damaged one to stderr, line after
    line, and stops where it guesses that one without a length ends. It cannot read FLAC in Ogg,
    and fails at the end of a FLAC of unknown length, as programs write it to a pipe.
    """
    magic = data[:4]
    if magic == b"OggS":
        return data[_OGG_CODEC:].startswith((b"\x01vorbis", b"OpusHead"))
    if magic == b"fLaC":
        return int.from_bytes(data[_FLAC_TOTAL_SAMPLES]) % (1 << 36) > 0
    if magic in _WAV_MAGIC:
        return data[8:12] == b"WAVE"
    return magic in (_W64_MAGIC, _AIFF_MAGIC)


def require_whole_ogg(data: bytes) -> None:
    """Check that the last page is whole (RFC 3533, section 6: header, segment table, body)."""
    page = data.rfind(b"OggS")
    table = page + 27
    segments = data[table - 1] if table <= len(data) else 0
    end = table + segments + sum(data[table : table + segments])
    if end > len(data):
        raise CorruptAudioError("the ogg file is truncated: its last page is not whole")
