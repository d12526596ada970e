"""Decoding with FFmpeg (PyAV): MP3, M4A, MP4, AAC, WebM and some Ogg and FLAC."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.container
import av.error
import numpy as np
from av.audio.fifo import AudioFifo
from numpy.typing import NDArray

from app.decoding.errors import (
    CorruptAudioError,
    DecoderFailedError,
    EmptyAudioError,
    UnsupportedAudioError,
)
from app.decoding.source import AudioMetadata, require_whole_ogg
from earshot.audio_formats import ACCEPTED_FORMATS

# Only these demuxers and decoders ever see an upload: FFmpeg also knows playlists and
# network protocols, which could be made to read other files.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,mp3,ogg,flac"
_CODECS = {"aac", "alac", "opus", "vorbis", "flac", "mp3", "mp3float"}
_NAMES = {"mov": "mp4", "matroska": "webm"}
_TOO_MUCH_MEMORY = "decoding the file takes more memory than it may"
_LONGEST_MP3_FRAME = 1441  # bytes: layer III, 320 kbit/s at 32 kHz
# Of a block: what is decoded is still in the processor's cache when it is mixed, and whoever
# reads can begin while the rest is decoded.
_BLOCK_FRAMES = 1 << 15
# Encoders round up to their frames, of which the longest in use last 60 ms: so much, in seconds,
# may be missing of what is declared, or more than it.
_PADDING = 0.1


class FfmpegSource:
    """A recording that FFmpeg has opened; see `AudioSource`."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.AudioStream, data: bytes
    ) -> None:
        self._container = container
        self._stream = stream
        name = container.format.name.split(",")[0]
        self.metadata = AudioMetadata(
            sample_rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.channels,
            format=_NAMES.get(name, name),
            seconds=_declared_seconds(container, stream, data),
        )

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `AudioSource.blocks`."""
        decoded = 0
        try:
            for block in _without_padding(self._joined_blocks(), *self._declared_end()):
                yield block
                decoded += len(block)
        except av.error.MemoryError as error:
            raise DecoderFailedError(_TOO_MUCH_MEMORY) from error
        except av.error.FFmpegError as error:
            raise CorruptAudioError(
                f"the {self.metadata.format} file is damaged after about "
                f"{decoded / self.metadata.sample_rate:.2f} s: {error.strerror}"
            ) from error
        found = decoded / self.metadata.sample_rate
        declared = self.metadata.seconds
        if declared is not None and found < declared - _PADDING:
            raise CorruptAudioError(
                f"the {self.metadata.format} file is truncated: it declares {declared:.2f} s of "
                f"sound and holds {found:.2f} s"
            )

    def _declared_end(self) -> tuple[int, int]:
        """Return how many samples are declared, and how many more can be encoder padding."""
        declared, rate = self.metadata.seconds, self.metadata.sample_rate
        return (0, 0) if declared is None else (round(declared * rate), round(_PADDING * rate))

    def _joined_blocks(self) -> Iterator[NDArray[np.float32]]:
        """Join the frames, which hold a fiftieth of a second each, to longer blocks."""
        held = AudioFifo()
        for frame in self._container.decode(self._stream):
            if frame.sample_rate != self.metadata.sample_rate:
                raise CorruptAudioError(
                    f"the {self.metadata.format} file changes its sample rate from "
                    f"{self.metadata.sample_rate} to {frame.sample_rate} Hz"
                )
            frame.pts = None  # else a gap in the times would be an error
            try:
                held.write(frame)
            except ValueError:  # other channels, or another sample format, from here on
                yield from _drain(held)
                held = AudioFifo()
                held.write(frame)
            if held.samples >= _BLOCK_FRAMES:
                yield from _drain(held)
        yield from _drain(held)


@contextmanager
def open_ffmpeg(data: bytes) -> Iterator[FfmpegSource]:
    """Open a recording held in memory.

    Raises:
        UnsupportedAudioError: no accepted container, codec or sound track was found.
        CorruptAudioError: the container is known but cannot be read.
        DecoderFailedError: there is not enough memory to read it.
    """
    if data[:4] == b"OggS":
        require_whole_ogg(data)
    try:
        container = av.open(
            io.BytesIO(data),
            mode="r",
            options={"format_whitelist": _DEMUXERS, "codec_whitelist": ",".join(_CODECS)},
            metadata_errors="replace",
        )
    except av.error.MemoryError as error:
        raise DecoderFailedError(_TOO_MUCH_MEMORY) from error
    except av.error.FFmpegError as error:
        if _is_mp4_or_webm(data):
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
        yield FfmpegSource(container, stream, data)


def _without_padding(
    blocks: Iterator[NDArray[np.float32]], end: int, padding: int
) -> Iterator[NDArray[np.float32]]:
    """Yield what is before sample `end`; all, where more follows than `padding`."""
    position = 0
    held: list[NDArray[np.float32]] = []
    for block in blocks:
        position += len(block)
        if position <= end:
            yield block
            continue
        held.append(block)
        if position > end + padding:
            yield from held
            held = []
    if held:
        last = np.concatenate(held)
        if len(last) > position - end:
            yield last[: end - position]


def _drain(held: AudioFifo) -> Iterator[NDArray[np.float32]]:
    """Yield all that is held as one block `[frames, channels]`, or nothing."""
    frame = held.read()
    if frame is not None:
        (planar,) = av.AudioResampler(format="fltp").resample(frame)
        yield planar.to_ndarray().astype(np.float32, copy=False).T


def _declared_seconds(
    container: av.container.InputContainer, stream: av.AudioStream, data: bytes
) -> float | None:
    """Return the duration of the sound track, where the file itself declares one."""
    # Of these FFmpeg guesses it from the bit rate.
    if container.format.name == "aac" or (container.format.name == "mp3" and not _has_xing(data)):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _has_xing(data: bytes) -> bool:
    """Return whether the first frame of an MP3 is one that tells how many there are."""
    start = _id3_size(data)
    first_frame = bytes(data[start : start + _LONGEST_MP3_FRAME])
    return b"Xing" in first_frame or b"Info" in first_frame


def _id3_size(data: bytes) -> int:
    """Return the bytes of the ID3v2 tag in front (ID3v2.4.0: four times seven bits, a header)."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return size + 10


def _is_mp4_or_webm(data: bytes) -> bool:
    """Return whether the first bytes are an MP4 `ftyp` box or an EBML header (WebM, Matroska)."""
    return data[4:8] == b"ftyp" or data[:4] == b"\x1a\x45\xdf\xa3"
