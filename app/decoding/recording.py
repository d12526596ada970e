"""From the bytes of a file to one channel of samples at the rate that a checkpoint wants."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from app.audio.silence import SILENCE_DBFS, is_silent
from app.decoding.errors import (
    AudioTooLongError,
    EmptyAudioError,
    InvalidSamplesError,
    SilentAudioError,
    UnsupportedAudioError,
)
from app.decoding.formats import is_mp4_or_webm, is_mpeg_audio
from app.decoding.sndfile import open_sndfile
from app.decoding.source import AudioInfo, AudioOpener, AudioSource

# Some programs write float WAV in the range of 16-bit integers; beyond this no scale makes sense.
_LARGEST_SAMPLE = 1e6


@dataclass(frozen=True)
class AudioLimits:
    """Of a recording's channels and sample rate.

    A block holds as many samples of each channel, so that memory grows with the channels; and
    a rate far below any that is in use makes a small file a long recording.
    """

    max_channels: int = 32
    min_sample_rate: int = 4_000
    """Hz"""
    max_sample_rate: int = 768_000
    """Hz"""

    def require(self, info: AudioInfo) -> None:
        """Raise UnsupportedAudioError for a recording that is outside."""
        if info.channels > self.max_channels:
            raise UnsupportedAudioError(
                f"the recording has {info.channels} channels; "
                f"at most {self.max_channels} are accepted"
            )
        if not self.min_sample_rate <= info.sample_rate <= self.max_sample_rate:
            raise UnsupportedAudioError(
                f"the recording has a sample rate of {info.sample_rate} Hz; "
                f"{self.min_sample_rate} to {self.max_sample_rate} Hz are accepted"
            )


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


_LIMITS = AudioLimits()


@contextmanager
def open_audio(data: bytes, open_with_ffmpeg: AudioOpener | None = None) -> Iterator[AudioSource]:
    """Open a file held in memory with libsndfile or, where that does not know it, with FFmpeg.

    Args:
        data: the file.
        open_with_ffmpeg: where FFmpeg's code runs, as `app.decoding.pool.DecoderPool.open` for
            files of strangers; if not given, in this process.

    Raises:
        EmptyAudioError: no bytes, no sound track or no samples.
        UnsupportedAudioError: no decoder accepts the format.
        CorruptAudioError: the format is known, the file is not whole.
        DecoderFailedError: the decoder broke down over it.
    """
    if not data:
        raise EmptyAudioError("the file is empty (0 bytes)")
    with ExitStack() as opened:
        source: AudioSource | None = None
        # libsndfile knows MP3 too, but writes what it thinks of a damaged one to stderr, line
        # after line, and stops where it guesses that one without a length ends.
        if not is_mp4_or_webm(data) and not is_mpeg_audio(data):
            with suppress(UnsupportedAudioError):
                source = opened.enter_context(open_sndfile(data))
        yield source or opened.enter_context((open_with_ffmpeg or _open_here)(data))


def _open_here(data: bytes) -> AbstractContextManager[AudioSource]:
    # A service that has it done elsewhere does not load FFmpeg's libraries.
    from app.decoding.ffmpeg import open_av  # noqa: PLC0415

    return open_av(data)


def mono_resampler(sample_rate: int, wanted: int) -> Callable[..., NDArray[np.float32]]:
    """`resample_chunk` of a soxr stream (HQ) for one channel of float32, between rates in Hz."""
    stream = soxr.ResampleStream(sample_rate, wanted, num_channels=1, dtype="float32", quality="HQ")
    resample: Callable[..., NDArray[np.float32]] = stream.resample_chunk
    return resample


class MonoStream:
    """One recording, mixed to one channel and resampled block by block, to be read once."""

    info: AudioInfo
    """what the file says of itself; known from the first block on"""

    def __init__(
        self,
        data: bytes,
        *,
        sample_rate: int,
        max_seconds: float,
        bounds: AudioLimits = _LIMITS,
        open_with_ffmpeg: AudioOpener | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            data: a file in any accepted format.
            sample_rate: of the blocks, Hz.
            max_seconds: longest recording accepted.
            bounds: of the channels and the sample rate accepted.
            open_with_ffmpeg: see `open_audio`.
        """
        self._bounds = bounds
        self._open_with_ffmpeg = open_with_ffmpeg
        self._data = data
        self._sample_rate = sample_rate
        self._max_seconds = max_seconds
        self._frames = 0
        self._lowest, self._highest = np.inf, -np.inf

    @property
    def seconds(self) -> float:
        """Duration that was decoded so far."""
        return self._frames / self.info.sample_rate

    @property
    def silent(self) -> bool:
        """Whether nothing that was decoded so far can be heard, mixed to one channel."""
        return is_silent(self._lowest, self._highest)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples in order, as blocks of shape `[samples]`, none empty.

        Channels are mixed to their mean, and resampled with soxr (HQ).

        Raises:
            UnsupportedAudioError, CorruptAudioError, UndecodableAudioError, InvalidSamplesError,
                AudioTooLongError: where the recording is so.
            EmptyAudioError: nothing is in it, at the latest known at its end.
        """
        with open_audio(self._data, self._open_with_ffmpeg) as source:
            self.info = source.info
            self._bounds.require(source.info)
            self._refuse_longer(source.info.seconds or 0.0)
            resample = mono_resampler(source.info.sample_rate, self._sample_rate)
            samples = 0
            for block in source.blocks():
                resampled = resample(self._measured(block))
                samples += resampled.size
                if resampled.size:
                    yield resampled
            rest = resample(np.empty(0, np.float32), last=True)
        if samples + rest.size == 0:
            raise EmptyAudioError(f"the recording is too short: {self._frames} samples")
        if rest.size:
            yield rest

    def _measured(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        self._frames += block.size
        self._refuse_longer(self.seconds)
        low, high = float(block.min()), float(block.max())
        _refuse_absurd(low, high)
        self._lowest, self._highest = min(self._lowest, low), max(self._highest, high)
        return block

    def _refuse_longer(self, seconds: float) -> None:
        if seconds > self._max_seconds:
            raise AudioTooLongError(
                f"the recording is longer than the {self._max_seconds:g} s that are accepted"
            )


def read_recording(
    data: bytes,
    *,
    sample_rate: int,
    max_seconds: float,
    bounds: AudioLimits = _LIMITS,
    open_with_ffmpeg: AudioOpener | None = None,
) -> Recording:
    """Decode a whole file into memory; see `MonoStream`.

    Raises:
        AudioError: one of its kinds, for whatever makes the recording unfit.
    """
    stream = MonoStream(
        data,
        sample_rate=sample_rate,
        max_seconds=max_seconds,
        bounds=bounds,
        open_with_ffmpeg=open_with_ffmpeg,
    )
    samples = np.concatenate(list(stream.blocks()))
    if stream.silent:
        raise SilentAudioError(
            f"the recording is silent: mixed to one channel it stays below {SILENCE_DBFS:g} dBFS"
        )
    return Recording(samples, sample_rate, stream.seconds, stream.info)


def _refuse_absurd(low: float, high: float) -> None:
    # NaN makes every comparison false, so the accepted range is what is tested.
    if not (low >= -_LARGEST_SAMPLE and high <= _LARGEST_SAMPLE):
        raise InvalidSamplesError(
            "the recording has samples that are NaN, infinite or far outside full scale "
            f"(accepted: finite values within +-{_LARGEST_SAMPLE:g}, full scale is +-1)"
        )
