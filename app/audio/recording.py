"""From the bytes of a file to one channel of samples at the rate that a checkpoint wants."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from app.audio.errors import (
    AudioTooLongError,
    EmptyAudioError,
    InvalidSamplesError,
    SilentAudioError,
    UnsupportedAudioError,
)
from app.audio.ffmpeg import open_av
from app.audio.sndfile import open_sndfile
from app.audio.source import AudioInfo, AudioSource

SILENCE_DBFS = -80.0
"""A recording whose swing stays below this level, in dB of full scale, counts as silent."""
_SILENCE = 10 ** (SILENCE_DBFS / 20)
# Some programs write float WAV in the range of 16-bit integers; beyond this no scale makes sense.
_LARGEST_SAMPLE = 1e6


@dataclass(frozen=True)
class Recording:
    """A decoded recording: mono float32 samples and what its file said of itself."""

    samples: NDArray[np.float32]
    """shape `[samples]`, at `sample_rate`"""
    sample_rate: int
    """Hz, of `samples`"""
    seconds: float
    """duration that was decoded"""
    info: AudioInfo


@contextmanager
def open_audio(data: bytes) -> Iterator[AudioSource]:
    """Open a file held in memory with the first decoder that knows it.

    Raises:
        EmptyAudioError: no bytes, no sound track or no samples.
        UnsupportedAudioError: no decoder accepts the format.
        CorruptAudioError: the format is known, the file is not whole.
    """
    if not data:
        raise EmptyAudioError("the file is empty (0 bytes)")
    with ExitStack() as opened:
        try:
            source: AudioSource = opened.enter_context(open_sndfile(data))
        except UnsupportedAudioError:
            source = opened.enter_context(open_av(data))
        yield source


def mono_resampler(sample_rate: int, wanted: int) -> Callable[..., NDArray[np.float32]]:
    """`resample_chunk` of a soxr stream (HQ) for one channel of float32, between rates in Hz."""
    stream = soxr.ResampleStream(sample_rate, wanted, num_channels=1, dtype="float32", quality="HQ")
    resample: Callable[..., NDArray[np.float32]] = stream.resample_chunk
    return resample


class MonoStream:
    """One recording, mixed to one channel and resampled block by block, to be read once."""

    info: AudioInfo
    """what the file says of itself; known from the first block on"""

    def __init__(self, data: bytes, *, sample_rate: int, max_seconds: float) -> None:
        """Nothing is read yet.

        Args:
            data: a file in any accepted format.
            sample_rate: of the blocks, Hz.
            max_seconds: longest recording accepted.
        """
        self._data = data
        self._sample_rate = sample_rate
        self._max_seconds = max_seconds
        self._frames = 0
        self._lowest, self._highest = np.inf, -np.inf

    @property
    def seconds(self) -> float:
        """Duration that was decoded so far."""
        return self._frames / self.info.sample_rate

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples in order, as blocks of shape `[samples]`, none empty.

        Channels are mixed to their mean, and resampled with soxr (HQ).

        Raises:
            UnsupportedAudioError, CorruptAudioError, InvalidSamplesError, AudioTooLongError:
                where the recording is so.
            EmptyAudioError: nothing is in it, at the latest known at its end.
            SilentAudioError: at its end, when its swing never reached `SILENCE_DBFS`.
        """
        with open_audio(self._data) as source:
            self.info = source.info
            self._refuse_longer(source.info.seconds or 0.0)
            resample = mono_resampler(source.info.sample_rate, self._sample_rate)
            samples = 0
            for block in source.blocks():
                resampled = resample(self._mix(block))
                samples += resampled.size
                if resampled.size:
                    yield resampled
            rest = resample(np.empty(0, np.float32), last=True)
        if samples + rest.size == 0:
            raise EmptyAudioError(f"the recording is too short: {self._frames} samples")
        if (self._highest - self._lowest) / 2 < _SILENCE:
            raise SilentAudioError(
                "the recording is silent: mixed to one channel it stays below "
                f"{SILENCE_DBFS:g} dBFS"
            )
        if rest.size:
            yield rest

    def _mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        self._frames += len(block)
        self._refuse_longer(self.seconds)
        channels = block.shape[1]
        # By BLAS: NumPy's mean over an axis as short as two takes ten times as long.
        with np.errstate(invalid="ignore"):  # infinities are refused on the next lines
            mono: NDArray[np.float32] = block @ np.full(channels, 1 / channels, np.float32)
        low, high = float(mono.min()), float(mono.max())
        _refuse_absurd(low, high)
        self._lowest, self._highest = min(self._lowest, low), max(self._highest, high)
        return mono

    def _refuse_longer(self, seconds: float) -> None:
        if seconds > self._max_seconds:
            raise AudioTooLongError(
                f"the recording is longer than the {self._max_seconds:g} s that are accepted"
            )


def read_recording(data: bytes, *, sample_rate: int, max_seconds: float) -> Recording:
    """Decode a whole file into memory; see `MonoStream`.

    Raises:
        AudioError: one of its kinds, for whatever makes the recording unfit.
    """
    stream = MonoStream(data, sample_rate=sample_rate, max_seconds=max_seconds)
    samples = np.concatenate(list(stream.blocks()))
    return Recording(samples, sample_rate, stream.seconds, stream.info)


def _refuse_absurd(low: float, high: float) -> None:
    # NaN makes every comparison false, so the accepted range is what is tested.
    if not (low >= -_LARGEST_SAMPLE and high <= _LARGEST_SAMPLE):
        raise InvalidSamplesError(
            "the recording has samples that are NaN, infinite or far outside full scale "
            f"(accepted: finite values within +-{_LARGEST_SAMPLE:g}, full scale is +-1)"
        )
