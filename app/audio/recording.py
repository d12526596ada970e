"""From the bytes of a file to one channel of samples at the rate that a checkpoint wants."""

from collections.abc import Iterator
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
def open_audio(data: bytes | bytearray) -> Iterator[AudioSource]:
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


def read_recording(data: bytes | bytearray, *, sample_rate: int, max_seconds: float) -> Recording:
    """Decode `data`, mix it to one channel (the mean) and resample it with soxr (HQ).

    Works block by block: only the result is held whole.

    Args:
        data: a file in any accepted format.
        sample_rate: rate of the result in Hz.
        max_seconds: longest recording accepted.

    Raises:
        AudioError: one of its kinds, for whatever makes the recording unfit.
    """
    with open_audio(data) as source:
        info = source.info
        if info.seconds is not None:
            _refuse_longer(info.seconds, max_seconds)
        resample = soxr.ResampleStream(
            info.sample_rate, sample_rate, num_channels=1, dtype="float32", quality="HQ"
        ).resample_chunk
        pieces: list[NDArray[np.float32]] = []
        frames, lowest, highest = 0, np.inf, -np.inf
        for block in source.blocks():
            frames += len(block)
            _refuse_longer(frames / info.sample_rate, max_seconds)
            with np.errstate(invalid="ignore"):  # infinities are refused on the next lines
                mono = block.mean(axis=1, dtype=np.float32)
            low, high = float(mono.min()), float(mono.max())
            _refuse_absurd(low, high)
            lowest, highest = min(lowest, low), max(highest, high)
            pieces.append(resample(mono))
        pieces.append(resample(np.empty(0, np.float32), last=True))
    samples = np.concatenate(pieces)
    if samples.size == 0:
        raise EmptyAudioError(f"the recording is too short: {frames} samples")
    if (highest - lowest) / 2 < _SILENCE:
        raise SilentAudioError(
            f"the recording is silent: mixed to one channel it stays below {SILENCE_DBFS:g} dBFS"
        )
    return Recording(
        samples=samples,
        sample_rate=sample_rate,
        seconds=frames / info.sample_rate,
        info=info,
    )


def _refuse_longer(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise AudioTooLongError(
            f"the recording is longer than the {max_seconds:g} s that are accepted"
        )


def _refuse_absurd(low: float, high: float) -> None:
    # NaN makes every comparison false, so the accepted range is what is tested.
    if not (low >= -_LARGEST_SAMPLE and high <= _LARGEST_SAMPLE):
        raise InvalidSamplesError(
            "the recording has samples that are NaN, infinite or far outside full scale "
            f"(accepted: finite values within +-{_LARGEST_SAMPLE:g}, full scale is +-1)"
        )
