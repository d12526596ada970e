"""WAV and AIFF as chunks: which codec they hold, where its bytes are, and whether all are there.

RIFF: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991). RF64
and BW64: EBU Tech 3306 and ITU-R BS.2088. AIFF: Audio Interchange File Format 1.3 (Apple, 1989).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from app.decoding.errors import CorruptAudioError
from app.decoding.source import TOLERATED_SECONDS

WAV_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"BW64")
AIFF_MAGIC = b"FORM"
# Programs that write to a pipe cannot know the length; they leave 0 or a number near 2^31 or 2^32
# in its place.
_PLACEHOLDER_SIZE = 0x7FFF_0000
_EXTENSIBLE = 0xFFFE
# Files have a dozen; one made of empty ones only would take a minute.
_MAX_CHUNKS = 4096


@dataclass(frozen=True)
class Chunk:
    """A part of a file with a name and a size."""

    name: bytes
    start: int
    """offset of the body"""
    size: int
    """bytes, as declared"""


@dataclass(frozen=True)
class ChunkedAudio:
    """The parts of a WAV or AIFF file that tell how its samples are coded and where they are."""

    codec: int | bytes | None
    """WAV's format tag, or AIFF-C's compression type; None: not told"""
    order: str
    """of the bytes of numbers, `<` or `>`, as in `struct`"""
    bytes_per_second: float
    """of the samples, 0 where it is not told"""
    chunks: tuple[Chunk, ...]
    declared: int | None
    """bytes of samples, None where whoever wrote the file could not know"""
    length: int
    """bytes of the file"""

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """Return the parts of a file, None where it is neither or has no samples."""
        if data[:4] in WAV_MAGIC and data[8:12] == b"WAVE":
            return cls._parse_wav(data)
        if data[:4] == AIFF_MAGIC and data[8:12] in (b"AIFF", b"AIFC"):
            return cls._parse_aiff(data)
        return None

    @classmethod
    def _parse_wav(cls, data: bytes) -> Self | None:
        order = ">" if data[:4] == b"RIFX" else "<"
        chunks = tuple(_walk(data, order, b"data"))
        if not chunks or chunks[-1].name != b"data":
            return None
        codec, bytes_per_second = None, 0
        samples, declared = chunks[-1], chunks[-1].size
        for chunk in chunks:
            if chunk.name == b"fmt " and chunk.start + 16 <= len(data):
                codec, _, _, bytes_per_second = struct.unpack_from(
                    order + "HHII", data, chunk.start
                )
                if codec == _EXTENSIBLE and chunk.size >= 26:
                    (codec,) = struct.unpack_from(order + "H", data, chunk.start + 24)
            elif chunk.name == b"ds64" and chunk.start + 16 <= len(data):
                (of_64_bits,) = struct.unpack_from("<Q", data, chunk.start + 8)
                declared = of_64_bits if samples.size == 0xFFFF_FFFF else declared
        known = None if _is_placeholder(data, samples, order, declared) else declared
        return cls(codec, order, bytes_per_second, chunks, known, len(data))

    @classmethod
    def _parse_aiff(cls, data: bytes) -> Self | None:
        chunks = tuple(_walk(data, ">", b"SSND"))
        if not chunks or chunks[-1].name != b"SSND":
            return None
        codec, bytes_per_second = b"NONE", 0.0
        for chunk in chunks:
            if chunk.name == b"COMM" and chunk.start + 18 <= len(data):
                channels, _, bits = struct.unpack_from(">hIh", data, chunk.start)
                exponent, mantissa = struct.unpack_from(">HQ", data, chunk.start + 8)
                rate = mantissa * 2.0 ** min(exponent - 16_383 - 63, 0)
                bytes_per_second = rate * channels * ((bits + 7) // 8)
                if chunk.size >= 22:
                    codec = data[chunk.start + 18 : chunk.start + 22]
        samples = chunks[-1]
        known = None if _is_placeholder(data, samples, ">", samples.size) else samples.size
        return cls(codec, ">", bytes_per_second, chunks, known, len(data))

    @property
    def present(self) -> int:
        """Bytes from the first sample to the end of the file."""
        return self.length - self.chunks[-1].start

    def require_whole(self, format_: str) -> None:
        """Raise CorruptAudioError where bytes of samples are missing at the end."""
        missing = (self.declared or 0) - self.present
        if missing > max(0.0, TOLERATED_SECONDS * self.bytes_per_second):
            raise CorruptAudioError(
                f"the {format_} file is truncated: it declares {self.declared} bytes of samples "
                f"and holds {self.present}"
            )

    def patches(self, data: bytes) -> dict[int, bytes]:
        """Return offset -> bytes that make of it a file with the sizes that it really has.

        None for one that tells them; an RF64 or BW64 becomes a plain RIFF, which is smaller than
        4 GiB here.
        """
        if self.declared is not None and data[:4] not in (b"RF64", b"BW64"):
            return {}
        size = self.present if self.declared is None else min(self.declared, self.present)
        number = struct.Struct(self.order + "I")
        whole = min(self.length - 8, 0xFFFF_FFFF)
        magic = b"RIFF" if data[:4] in (b"RF64", b"BW64") else data[:4]
        samples = self.chunks[-1]
        patches = {0: magic + number.pack(whole), samples.start - 4: number.pack(min(size, whole))}
        for chunk in self.chunks:
            if chunk.name == b"COMM" and chunk.start + 8 <= len(data):
                channels, _, bits = struct.unpack_from(">hIh", data, chunk.start)
                frame = max(1, channels * ((bits + 7) // 8))
                patches[chunk.start + 2] = number.pack((size - 8) // frame)
        return patches


def _walk(data: bytes, order: str, last: bytes) -> Iterator[Chunk]:
    """Yield the chunks up to the one that holds the samples."""
    for chunk in _read_chunks(data, 12, order):
        yield chunk
        if chunk.name == last:
            return


def _read_chunks(data: bytes, offset: int, order: str) -> Iterator[Chunk]:
    header = struct.Struct(order + "4sI")
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > len(data):
            return
        name, size = header.unpack_from(data, offset)
        yield Chunk(name, offset + 8, size)
        offset += 8 + size + size % 2


def _is_placeholder(data: bytes, samples: Chunk, order: str, declared: int) -> bool:
    """Return whether the size of the samples is none: too large, or 0 with samples behind it."""
    if declared >= _PLACEHOLDER_SIZE:
        return True
    # An empty recording may have tags behind it: chunks to the very end.
    return declared in (0, 8 * (samples.name == b"SSND")) and not _are_chunks(
        data, samples.start + declared, order
    )


def _are_chunks(data: bytes, offset: int, order: str) -> bool:
    """Return whether all that is left is chunks, or nothing."""
    end = offset
    for chunk in _read_chunks(data, offset, order):
        if not all(0x20 <= byte < 0x7F for byte in chunk.name):
            return False
        end = chunk.start + chunk.size + chunk.size % 2
    return len(data) <= end <= len(data) + 1
