"""Decoding with FFmpeg (PyAV) what libsndfile cannot: M4A, MP4, AAC, WebM and some MP3 and Ogg."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.container
import av.error
import numpy as np
from numpy.typing import NDArray

from app.audio.errors import CorruptAudioError, EmptyAudioError, UnsupportedAudioError
from app.audio.formats import ACCEPTED_FORMATS
from app.audio.source import BLOCK_FRAMES, AudioInfo

# Only these demuxers and decoders ever see an upload: FFmpeg also knows playlists and
# network protocols, which could be made to read other files.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,mp3,ogg,flac"
_CODECS = {"aac", "alac", "opus", "vorbis", "flac", "mp3", "mp3float"}
_NAMES = {"mov": "mp4", "matroska": "webm"}
# These say no duration; FFmpeg guesses one from the bit rate.
_GUESSED_DURATION = ("aac", "mp3")
# Encoders round up to their frames, of which the longest in use last 60 ms.
_DURATION_TOLERANCE = 0.1


class AvSource:
    """A recording that FFmpeg has opened; see `AudioSource`."""

    def __init__(self, container: av.container.InputContainer, stream: av.AudioStream) -> None:
        self._container = container
        self._stream = stream
        name = container.format.name.split(",")[0]
        self.info = AudioInfo(
            sample_rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.channels,
            format=_NAMES.get(name, name),
            seconds=_declared_seconds(container, stream),
        )

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `AudioSource.blocks`."""
        planar = av.AudioResampler(format="fltp")
        decoded = 0
        held: list[NDArray[np.float32]] = []
        holding = 0
        try:
            for frame in self._container.decode(self._stream):
                for converted in planar.resample(frame):
                    held.append(converted.to_ndarray().astype(np.float32, copy=False))
                    holding += converted.samples
                # Frames hold a fiftieth of a second: whoever works on blocks wants longer ones.
                if holding >= BLOCK_FRAMES:
                    yield _joined(held)
                    decoded += holding
                    held, holding = [], 0
        except av.error.FFmpegError as error:
            raise CorruptAudioError(
                f"the {self.info.format} file is damaged after "
                f"{(decoded + holding) / self.info.sample_rate:.2f} s: {error.strerror}"
            ) from error
        if held:
            yield _joined(held)
            decoded += holding
        found = decoded / self.info.sample_rate
        declared = self.info.seconds
        if declared is not None and found < declared - _DURATION_TOLERANCE:
            raise CorruptAudioError(
                f"the {self.info.format} file is truncated: it declares {declared:.2f} s of "
                f"sound and holds {found:.2f} s"
            )


@contextmanager
def open_av(data: bytes) -> Iterator[AvSource]:
    """Open a recording held in memory.

    Raises:
        UnsupportedAudioError: no accepted container, codec or sound track was found.
        CorruptAudioError: the container is known but cannot be read.
    """
    try:
        container = av.open(
            io.BytesIO(data),
            mode="r",
            options={"format_whitelist": _DEMUXERS},
            metadata_errors="replace",
        )
    except av.error.FFmpegError as error:
        if _looks_like_mp4_or_webm(data):
            raise CorruptAudioError(
                f"the file begins as MP4/M4A or WebM but cannot be read, it may be truncated: "
                f"{error.strerror}"
            ) from error
        raise UnsupportedAudioError(
            f"the file is not sound in a format that is accepted; send {ACCEPTED_FORMATS}"
        ) from error
    with container:
        if not container.streams.audio:
            raise EmptyAudioError(f"the {container.format.name} file has no sound track")
        stream = container.streams.audio[0]
        # PyAV's types promise a codec, but there is none where FFmpeg does not know it.
        codec = getattr(stream.codec_context, "name", "of the sound track")
        if codec not in _CODECS:
            raise UnsupportedAudioError(
                f"the codec {codec} is not accepted; send {ACCEPTED_FORMATS}"
            )
        if not stream.codec_context.sample_rate or not stream.codec_context.channels:
            raise CorruptAudioError("the sound track declares no sample rate or no channels")
        yield AvSource(container, stream)


def _joined(planes: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Blocks of shape `[channels, frames]` as one of `[frames, channels]`."""
    return np.concatenate(planes, axis=1).T


def _declared_seconds(
    container: av.container.InputContainer, stream: av.AudioStream
) -> float | None:
    """Duration of the sound track, where the file itself says one."""
    if container.format.name in _GUESSED_DURATION:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _looks_like_mp4_or_webm(data: bytes) -> bool:
    """Whether the first bytes are an MP4 `ftyp` box or an EBML header (WebM, Matroska)."""
    return data[4:8] == b"ftyp" or data[:4] == b"\x1a\x45\xdf\xa3"
