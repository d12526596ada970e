"""WAV of 16-bit samples, what most clients send: read where it lies, without a decoder.

libsndfile gives the same numbers, and takes three times as long: it calls back into Python for each
few bytes of a file in memory.
"""

import struct
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.decoding.chunks import ChunkedAudio
from app.decoding.source import BLOCK_FRAMES, AudioMetadata

INT16_STEP = np.float32(1 / 32_768)
_PCM = 1
_MAX_CHANNELS = 1024  # libsndfile's, which says what is wrong with more


class PcmSource:
    """A recording of 16-bit samples; see `AudioSource`."""

    warnings: tuple[str, ...] = ()

    def __init__(self, samples: NDArray[np.int16], sample_rate: int) -> None:
        """Read `[frames, channels]`, at least one frame."""
        self.metadata = AudioMetadata(
            sample_rate=sample_rate,
            channels=samples.shape[1],
            format="wav",
            seconds=len(samples) / sample_rate,
        )
        self._samples = samples

    @classmethod
    def of_wav(cls, data: bytes) -> Self | None:
        """Return the recording in a WAV file; None where it is not as plain as that."""
        audio = ChunkedAudio.parse(data)
        if audio is None or audio.codec != _PCM or data[:4] != b"RIFF" or audio.declared is None:
            return None
        formats = [chunk for chunk in audio.chunks if chunk.name == b"fmt "]
        if len(formats) != 1:
            return None
        _, channels, rate, _, block_align, bits = struct.unpack_from(
            "<HHIIHH", data, formats[0].start
        )
        frames = audio.declared // max(1, block_align)
        is_plain = bits == 16 and 1 <= channels <= _MAX_CHANNELS and block_align == 2 * channels
        if not (is_plain and 0 < rate < 2**31 and frames and audio.declared <= audio.present):
            return None
        start = audio.chunks[-1].start
        samples = np.frombuffer(data, "<i2", frames * channels, start)
        return cls(samples.reshape(frames, channels), rate)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `AudioSource.blocks`."""
        for start in range(0, len(self._samples), BLOCK_FRAMES):
            block = self._samples[start : start + BLOCK_FRAMES].astype(np.float32)
            block *= INT16_STEP
            yield block
