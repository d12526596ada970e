"""From the bytes of a file to one channel of samples at the rate that a checkpoint reads."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from app.audio.silence import SILENCE_DBFS, is_silent
from app.decoding.downmix import Downmixer
from app.decoding.errors import (
    EmptyAudioError,
    InvalidSamplesError,
    ReadingAbandonedError,
    SilentAudioError,
)
from app.decoding.limits import AudioLimits
from app.decoding.links import skip_tag
from app.decoding.pool import DecoderPool
from app.decoding.sndfile import PcmSource, is_decoded_by_libsndfile, open_sndfile
from app.decoding.source import (
    AudioMetadata,
    AudioOpener,
    AudioSource,
)

# Some programs write float WAV in the range of 16-bit integers; beyond this no scale makes sense.
_LARGEST_SAMPLE = 1e6


@dataclass(frozen=True)
class Recording:
    """A decoded recording: mono float32 samples, and the metadata of its file."""

    samples: NDArray[np.float32]
    """shape `[samples]`, at `sample_rate`"""
    sample_rate: int
    """Hz, of `samples`"""
    seconds: float
    """duration that was decoded"""
    metadata: AudioMetadata


class RecordingReader:
    """Reads recordings within limits: made once, given to whoever reads them."""

    def __init__(self, limits: AudioLimits, decoder_pool: DecoderPool | None = None) -> None:
        """Read nothing yet.

        Args:
            limits: of the recordings that are accepted.
            decoder_pool: processes for the files that FFmpeg decodes; None: they are decoded in
                this process, which is for files of one's own.
        """
        self.limits = limits
        self._decoder_pool = decoder_pool

    @asynccontextmanager
    async def open(
        self, data: bytes, *, sample_rate: int, keep_samples: bool = False
    ) -> AsyncIterator["MonoStream"]:
        """Open a file, after waiting for a decoder process where it needs one.

        Args:
            data: a file in any accepted format.
            sample_rate: of the samples, Hz.
            keep_samples: whether `MonoStream.samples` is asked for in the end.
        """
        data = skip_tag(data)
        async with AsyncExitStack() as stack:
            open_with_ffmpeg = None
            if self._decoder_pool is not None and not is_decoded_by_libsndfile(data):
                slot = await stack.enter_async_context(self._decoder_pool.reserve())
                open_with_ffmpeg = slot.open
            stream = MonoStream(
                data,
                sample_rate,
                self.limits,
                open_with_ffmpeg=open_with_ffmpeg,
                keep_samples=keep_samples,
            )
            stack.callback(stream.abandon)
            yield stream

    def read(self, data: bytes, *, sample_rate: int) -> Recording:
        """Decode a whole file into memory, in this process and on this thread.

        Raises AudioError as `MonoStream.read` does.
        """
        return MonoStream(data, sample_rate, self.limits).read()


class MonoStream:
    """A recording, mixed to one channel and resampled block by block, to be read once."""

    metadata: AudioMetadata
    """facts that the file declares; known from the first block on"""

    def __init__(
        self,
        data: bytes,
        sample_rate: int,
        limits: AudioLimits,
        *,
        open_with_ffmpeg: AudioOpener | None = None,
        keep_samples: bool = False,
    ) -> None:
        """Read nothing yet.

        Args:
            data: a file in any accepted format.
            sample_rate: of the blocks, Hz.
            limits: of the recordings that are accepted.
            open_with_ffmpeg: opens the files that FFmpeg decodes; None: in this process.
            keep_samples: whether `samples` is asked for in the end.
        """
        self.sample_rate = sample_rate
        self.warnings: tuple[str, ...] = ()
        """what of the file was passed over, once it was read to its end"""
        self._data = skip_tag(data)
        self._limits = limits
        self._open_with_ffmpeg = open_with_ffmpeg or _open_in_process
        self._kept: list[NDArray[np.float32]] | None = [] if keep_samples else None
        self._frames = 0
        self._is_abandoned = False
        self._lowest, self._highest = np.inf, -np.inf

    def abandon(self) -> None:
        """Have whoever reads, on any thread, stop before the next block: nobody waits for it."""
        self._is_abandoned = True

    @property
    def seconds(self) -> float:
        """Duration that was decoded so far."""
        return self._frames / self.metadata.sample_rate

    @property
    def is_silent(self) -> bool:
        """Whether nothing that was decoded so far can be heard, in any channel."""
        return is_silent(self._lowest, self._highest)

    @property
    def samples(self) -> NDArray[np.float32]:
        """All samples, shape `[samples]`, of a stream that keeps them and was read to its end.

        Raises SilentAudioError when nothing can be heard in them.
        """
        if self.is_silent:
            raise SilentAudioError(
                f"the recording is silent: every channel stays below {SILENCE_DBFS:g} dBFS"
            )
        assert self._kept is not None, "a stream that keeps no samples has none"
        return np.concatenate(self._kept)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples in order, as blocks of shape `[samples]`, none empty.

        Channels are mixed to one as `Downmixer` does, and resampled with soxr (HQ).

        Raises:
            UnsupportedAudioError, CorruptAudioError, DecoderFailedError, InvalidSamplesError,
                AudioTooLongError: the recording is so.
            EmptyAudioError: it has no samples, at the latest known at its end.
        """
        for block in self._resampled():
            if self._kept is not None:
                self._kept.append(block)
            yield block

    def read(self) -> Recording:
        """Decode the whole recording into memory.

        Raises AudioError as `blocks` does, or SilentAudioError when nothing can be heard in it.
        """
        self._kept = []
        for _ in self.blocks():
            pass
        return Recording(self.samples, self.sample_rate, self.seconds, self.metadata)

    def _resampled(self) -> Iterator[NDArray[np.float32]]:
        with self._open() as source:
            self.metadata = metadata = source.metadata
            self._limits.require_layout(
                channels=metadata.channels, sample_rate=metadata.sample_rate
            )
            self._limits.require_duration(metadata.seconds or 0.0, metadata)
            resample = mono_resampler(metadata.sample_rate, self.sample_rate)
            downmixer = Downmixer()
            samples = 0
            for block in source.blocks():
                if self._is_abandoned:
                    raise ReadingAbandonedError
                resampled = resample(self._measured(downmixer.mix(block)))
                samples += resampled.size
                if resampled.size:
                    yield resampled
            rest = resample(np.empty(0, np.float32), last=True)
            self.warnings = source.warnings
        if samples + rest.size == 0:
            raise EmptyAudioError(f"the recording is too short: {self._frames} samples")
        if rest.size:
            yield rest

    def _open(self) -> AbstractContextManager[AudioSource]:
        if not self._data:
            raise EmptyAudioError("the file is empty (0 bytes)")
        if (pcm := PcmSource.of_wav(self._data)) is not None:
            return nullcontext(pcm)
        if is_decoded_by_libsndfile(self._data):
            return open_sndfile(self._data)
        return self._open_with_ffmpeg(self._data)

    def _measured(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        self._frames += block.size
        self._limits.require_duration(self.seconds, self.metadata)
        low, high = float(block.min()), float(block.max())
        _require_finite(low, high)
        self._lowest, self._highest = min(self._lowest, low), max(self._highest, high)
        return block


def mono_resampler(sample_rate: int, target_rate: int) -> Callable[..., NDArray[np.float32]]:
    """Return `resample_chunk` of a soxr stream (HQ) for one channel of float32; rates in Hz."""
    stream = soxr.ResampleStream(
        sample_rate, target_rate, num_channels=1, dtype="float32", quality="HQ"
    )
    resample: Callable[..., NDArray[np.float32]] = stream.resample_chunk
    return resample


@contextmanager
def _open_in_process(data: bytes) -> Iterator[AudioSource]:
    # A service that has a pool of decoder processes does not load FFmpeg's libraries.
    from app.decoding.ffmpeg import open_ffmpeg  # noqa: PLC0415

    with open_ffmpeg(data) as source:
        yield source


def _require_finite(low: float, high: float) -> None:
    # NaN makes every comparison false, so the accepted range is what is tested.
    if not (low >= -_LARGEST_SAMPLE and high <= _LARGEST_SAMPLE):
        raise InvalidSamplesError(
            "the recording has samples that are NaN, infinite or far outside full scale "
            f"(accepted: finite values within +-{_LARGEST_SAMPLE:g}, full scale is +-1)"
        )
