"""Decoding with FFmpeg (PyAV): all that is compressed, and PCM in MP4 or Matroska."""

import io
import struct
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

import av
import av.container
import av.error
import numpy as np
from av.audio.fifo import AudioFifo
from av.stream import Disposition
from numpy.typing import NDArray

from app.audio.silence import is_silent
from app.decoding.chunks import ChunkedAudio
from app.decoding.errors import (
    AudioError,
    CorruptAudioError,
    DecoderFailedError,
    EmptyAudioError,
    UnsupportedAudioError,
)
from app.decoding.links import TAGS, find_links, id3_size, require_whole_ogg
from app.decoding.source import TOLERATED_SECONDS, AudioMetadata
from app.decoding.timeline import LATEST_START_SECONDS, Timeline
from earshot.audio_formats import ACCEPTED_FORMATS

# Only these demuxers and decoders ever see an upload: FFmpeg also knows playlists and
# network protocols, which could be made to read other files.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,mp3,ogg,flac,wav,w64,aiff"
_PCM = "u8 s8 s16le s16be s24le s24be s32le s32be f32le f32be f64le f64be alaw mulaw"
_CODECS = {"aac", "alac", "opus", "vorbis", "flac", "mp3", "mp3float"}
_CODECS |= {f"pcm_{kind}" for kind in _PCM.split()}
_NAMES = {"mov": "mp4", "matroska": "webm"}
# Formats without time stamps: FFmpeg counts frames, and takes what is no frame for one.
_STAMPLESS = ("mp3", "aac", "wav", "w64", "aiff")
_TOO_MUCH_MEMORY = "decoding the file takes more memory than it may"
_LONGEST_MP3_FRAME = 1441  # bytes: layer III, 320 kbit/s at 32 kHz
# Seconds by which time stamps are late though nothing is missing. Most are rounded to milliseconds,
# and those of live sound jitter; Vorbis' are those of pages, between blocks of unlike lengths.
_JITTER = 0.015
_JITTER_SECONDS = {"vorbis": 0.05}
# Of a block: what is decoded is still in the processor's cache when it is mixed, and whoever
# reads can begin while the rest is decoded.
_BLOCK_FRAMES = 1 << 15

_Block = NDArray[np.float32]


@dataclass(frozen=True)
class _Track:
    """A sound track of an opened file."""

    container: av.container.InputContainer
    stream: av.AudioStream
    number: int | None
    """from 1, None where it is the only one"""
    declared_seconds: float | None
    origin_seconds: float
    """time stamp of the beginning of the file's time"""

    @property
    def format(self) -> str:
        """Container, as `AudioMetadata` names it."""
        name = self.container.format.name.split(",")[0]
        return _NAMES.get(name, name)

    @property
    def has_stamps(self) -> bool:
        """Whether time stamps are the file's own, and not FFmpeg's count of frames."""
        return self.container.format.name not in _STAMPLESS

    @property
    def has_parameters(self) -> bool:
        """Whether its rate and channels are known."""
        context = self.stream.codec_context
        return bool(context.sample_rate and context.channels)

    def seconds_of(self, frame: av.AudioFrame) -> float | None:
        """Return the time stamp of a frame, None where it has none."""
        if frame.pts is None or frame.time_base is None or not self.has_stamps:
            return None
        return float(frame.pts * frame.time_base)


class FfmpegSource:
    """A recording that FFmpeg has opened; see `AudioSource`."""

    def __init__(self, first: _Track, data: bytes = b"", later_links: Sequence[slice] = ()) -> None:
        self._first = first
        self._data = data
        self._later_links = later_links
        context = first.stream.codec_context
        self.metadata = AudioMetadata(
            sample_rate=context.sample_rate,
            channels=context.channels,
            format=first.format,
            seconds=None if later_links else first.declared_seconds,
            track=first.number,
        )
        self._timeline = Timeline(context.sample_rate, _JITTER_SECONDS.get(context.name, _JITTER))

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `AudioSource.warnings`."""
        return tuple(self._timeline.warnings())

    def blocks(self) -> Generator[_Block, None, None]:
        """See `AudioSource.blocks`."""
        try:
            yield from self._link_blocks(self._first)
            for link in self._later_links:
                with ExitStack() as stack:
                    try:
                        track = stack.enter_context(_open_track(self._data[link]))
                    except UnsupportedAudioError:
                        if self._first.has_stamps:
                            raise
                        continue  # tags that belong to no file
                    yield from self._link_blocks(track)
        except av.error.MemoryError as error:
            raise DecoderFailedError(_TOO_MUCH_MEMORY) from error
        except av.error.FFmpegError as error:
            # A damaged frame may claim channels that nothing can be made of.
            raise _damage_error(self.metadata.format, self._timeline, error) from error
        self._timeline.require_mostly_decoded(self.metadata.format)

    def _link_blocks(self, track: _Track) -> Iterator[_Block]:
        """Yield the sound of a link; raises CorruptAudioError where its end is missing."""
        timeline, rate = self._timeline, self.metadata.sample_rate
        timeline.begin_link(track.declared_seconds, track.origin_seconds)
        declared = track.declared_seconds or 0.0
        padding = round(TOLERATED_SECONDS * rate) if declared else 0
        yield from _without_padding(self._placed_blocks(track), round(declared * rate), padding)
        # Ogg tells where it ends in its last page, which is known to be there.
        if track.format != "ogg" and timeline.missing_seconds > 1.5 * TOLERATED_SECONDS:
            raise CorruptAudioError(
                f"the {track.format} file is truncated: it declares {declared:.2f} s of "
                f"sound and holds {timeline.link_seconds:.2f} s"
            )

    def _placed_blocks(self, track: _Track) -> Iterator[_Block]:
        """Yield the sound of a link, with silence where its time stamps leave a gap."""
        rate, channels = self.metadata.sample_rate, self.metadata.channels
        joiner = _FrameJoiner(self.metadata)
        decoder = _PacketDecoder(track, self._timeline)
        for frame in decoder.frames():
            samples = round(frame.samples * rate / frame.sample_rate)
            silence = self._timeline.place(track.seconds_of(frame), samples)
            if silence:
                yield from joiner.drain()
                yield from _silence(silence, channels)
            yield from joiner.add(frame)
        yield from joiner.drain()
        yield from _silence(self._timeline.finish_link(decoder.cut_seconds), channels)


class _PacketDecoder:
    """Decodes the packets of a track, and passes over those that it cannot."""

    def __init__(self, track: _Track, timeline: Timeline) -> None:
        self._track = track
        self._timeline = timeline
        self._packets = self._bytes = 0  # that were decoded
        self.cut_seconds = 0.0
        """duration of the last frame, where the file ends within it"""

    def frames(self) -> Iterator[av.AudioFrame]:
        """Yield the frames.

        Raises CorruptAudioError where packets cannot be read or none of them can be decoded.
        """
        first_error: av.error.FFmpegError | None = None
        for packet in self._read_packets():
            try:
                frames = packet.decode()
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError as error:
                first_error = first_error or error
                self._skip(packet)
                continue
            if frames:
                self._packets += 1
                self._bytes += packet.size
                self.cut_seconds = 0.0
            for frame in frames:
                assert isinstance(frame, av.AudioFrame)
                yield frame
        if first_error is not None and not self._packets:
            raise _damage_error(self._track.format, self._timeline, first_error)

    def _read_packets(self) -> Iterator["av.Packet[av.AudioStream]"]:
        try:
            yield from self._track.container.demux(self._track.stream)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            # What is behind the last packet is not sound, as far as anything tells.
            is_end = self._timeline.missing_seconds <= 0 and (
                not self._track.has_stamps or self._track.declared_seconds is not None
            )
            if not is_end:
                raise _damage_error(self._track.format, self._timeline, error) from error

    def _skip(self, packet: "av.Packet[av.AudioStream]") -> None:
        """Have the timeline count a packet that cannot be decoded."""
        if packet.duration is None or packet.time_base is None:
            return
        seconds, content = float(packet.duration * packet.time_base), bytes(packet)
        if self._track.has_stamps:
            self._timeline.skip(seconds)
        elif not content.startswith(TAGS):
            begins_a_frame = content[:1] == b"\xff" and content[1:2] >= b"\xe0"
            if begins_a_frame and not self._timeline.is_pending:
                self.cut_seconds = seconds
            # Where frames are lost, one packet has the bytes of all of them.
            frames = self._packets * packet.size / self._bytes if self._packets else 1
            self._timeline.skip(seconds * max(1, round(frames)))


def _damage_error(
    format_: str, timeline: Timeline, error: av.error.FFmpegError
) -> CorruptAudioError:
    seconds = timeline.position / timeline.sample_rate
    return CorruptAudioError(f"the {format_} file is damaged at {seconds:.2f} s: {error.strerror}")


class _FrameJoiner:
    """Joins frames, which hold a fiftieth of a second each, to blocks of one rate and layout."""

    def __init__(self, metadata: AudioMetadata) -> None:
        self._metadata = metadata
        self._held = AudioFifo()
        self._converted: tuple[str, str, int] | None = None
        self._converter: av.AudioResampler | None = None

    def add(self, frame: av.AudioFrame) -> Iterator[_Block]:
        """Append a frame, and yield a block where there is enough for one."""
        frame.pts = None  # else a gap in the times would be an error
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._converted:  # the first frame, or other channels or rates from here on
            yield from self.drain()
            self._converted, self._converter = kind, self._make_converter(frame)
        for each in [frame] if self._converter is None else self._converter.resample(frame):
            self._held.write(each)
        if self._held.samples >= _BLOCK_FRAMES:
            yield from self._drain_held()

    def drain(self) -> Iterator[_Block]:
        """Yield all that is held."""
        if self._converter is not None:
            for each in self._converter.resample(None):
                self._held.write(each)
            self._converter = self._converted = None
        yield from self._drain_held()
        self._held = AudioFifo()

    def _make_converter(self, frame: av.AudioFrame) -> av.AudioResampler | None:
        rate, channels = self._metadata.sample_rate, self._metadata.channels
        if (frame.sample_rate, len(frame.layout.channels)) == (rate, channels):
            return None
        layout = {1: "mono", 2: "stereo"}.get(channels, f"{channels}c")
        return av.AudioResampler(format="fltp", layout=layout, rate=rate)

    def _drain_held(self) -> Iterator[_Block]:
        frame = self._held.read()
        if frame is not None:
            (planar,) = av.AudioResampler(format="fltp").resample(frame)
            yield planar.to_ndarray().astype(np.float32, copy=False).T


@contextmanager
def open_ffmpeg(data: bytes) -> Iterator[FfmpegSource]:
    """Open a recording held in memory, with all that was put behind it.

    Of several sound tracks the one is read that a player would: the first that is marked as the
    default, in a codec that is accepted, and not silent.

    Raises:
        UnsupportedAudioError: no accepted container or codec was found.
        EmptyAudioError: there is no sound track.
        CorruptAudioError: the container is known but cannot be read.
        DecoderFailedError: there is not enough memory to read it.
    """
    links = find_links(data)
    with ExitStack() as stack:
        while True:
            try:
                track = stack.enter_context(_open_track(data[links.pop(0)]))
                break
            except UnsupportedAudioError:
                if not links:
                    raise
        yield FfmpegSource(track, data, links)


@contextmanager
def _open_track(data: bytes) -> Iterator[_Track]:
    """Open one link of a recording; raises as `open_ffmpeg`."""
    if data[:4] == b"OggS":
        require_whole_ogg(data)
    chunks = ChunkedAudio.parse(data)
    if chunks is not None:
        chunks.require_whole("wav" if isinstance(chunks.codec, int) else "aiff")
    with _open_container(data) as container:
        tracks = _accepted_tracks(container, data)
        chosen = tracks[0]
        if len(tracks) > 1:
            numbers = (track.number for track in tracks)
            audible = next((number for number in numbers if _is_audible(data, number)), None)
            chosen = next((track for track in tracks if track.number == audible), chosen)
        yield chosen


def _open_container(data: bytes) -> av.container.InputContainer:
    try:
        return av.open(
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


def _accepted_tracks(container: av.container.InputContainer, data: bytes) -> list[_Track]:
    """Return the tracks that can be decoded, those that are marked as default first."""
    streams = container.streams.audio
    if not streams:
        raise EmptyAudioError(f"the {container.format.name} file has no sound track")
    # PyAV's types promise a codec, but there is none where FFmpeg does not know it.
    codecs = [getattr(stream.codec_context, "name", "of the sound track") for stream in streams]
    first_stamp = 0.0 if container.start_time is None else container.start_time / av.time_base
    origin = first_stamp if first_stamp > LATEST_START_SECONDS else 0.0
    accepted = [
        _Track(
            container,
            stream,
            None if len(streams) == 1 else number,
            None if (end := _declared_seconds(container, stream, data)) is None else end - origin,
            origin,
        )
        for number, (stream, codec) in enumerate(zip(streams, codecs, strict=True), 1)
        if codec in _CODECS
    ]
    if not accepted:
        names = " and ".join(dict.fromkeys(codecs))
        raise UnsupportedAudioError(f"the codec {names} is not accepted; send {ACCEPTED_FORMATS}")
    usable = [track for track in accepted if track.has_parameters]
    if not usable:
        raise CorruptAudioError("the sound track declares no sample rate or no channels")
    return sorted(usable, key=lambda track: not track.stream.disposition & Disposition.default)


def _is_audible(data: bytes, number: int | None) -> bool:
    """Return whether anything can be heard in a track, from 1."""
    with _open_container(data) as container:
        track = next(each for each in _accepted_tracks(container, data) if each.number == number)
        with closing(FfmpegSource(track).blocks()) as blocks, suppress(AudioError):
            return any(not is_silent(block.min(), block.max()) for block in blocks)
    return False


def _silence(samples: int, channels: int) -> Iterator[_Block]:
    """Yield so much silence in blocks."""
    for start in range(0, samples, _BLOCK_FRAMES):
        yield np.zeros((min(_BLOCK_FRAMES, samples - start), channels), np.float32)


def _without_padding(blocks: Iterator[_Block], end: int, padding: int) -> Iterator[_Block]:
    """Yield what is before sample `end`; all, where more follows than `padding`."""
    position = 0
    held: list[_Block] = []
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


def _declared_seconds(
    container: av.container.InputContainer, stream: av.AudioStream, data: bytes
) -> float | None:
    """Return where the sound track ends, where the file itself declares it."""
    name = container.format.name
    if name in _STAMPLESS:  # of these FFmpeg guesses it from the bit rate
        return _mp3_seconds(data, stream.codec_context.sample_rate) if name == "mp3" else None
    if "matroska" in name:
        return _matroska_seconds(container, stream)
    if stream.duration is None or stream.time_base is None:
        return None
    # FFmpeg takes the start from the duration, but not where it comes to know the start later.
    is_opus = name == "ogg" and stream.codec_context.name == "opus"
    is_fragmented = name.startswith("mov") and b"mvex" in data
    start = 0 if is_opus or is_fragmented else stream.start_time or 0
    return float((start + stream.duration) * stream.time_base)


def _matroska_seconds(
    container: av.container.InputContainer, stream: av.AudioStream
) -> float | None:
    """Return the end of a track of Matroska: the file's, or its own as many programs tag it."""
    if container.duration is None:
        return None
    seconds = container.duration / av.time_base
    if len(container.streams) == 1:
        return seconds
    try:
        hours, minutes, rest = stream.metadata["DURATION"].split(":")
        return min(seconds, 3600 * int(hours) + 60 * int(minutes) + float(rest))
    except (KeyError, ValueError):
        return None


def _mp3_seconds(data: bytes, sample_rate: int) -> float | None:
    """Return the duration that the first frame of an MP3 declares, if it is there to do so.

    The frame of Xing, with how many others there are, and LAME's extension of it, with how many
    samples the encoder put before and behind. FFmpeg reads both, but does not believe them where
    the file is longer.
    """
    start = 0
    while size := id3_size(data, start):
        start += size
    frame = data[start : start + _LONGEST_MP3_FRAME]
    tag = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags, frames = struct.unpack(">4xII", frame[tag : tag + 12].ljust(12, b"\0"))
    if tag < 0 or not flags & 1:
        return None
    optional = sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
    lame = frame[tag + 8 + optional :][:24]
    padding = 0
    if lame[:4] in (b"LAME", b"Lavf", b"Lavc"):
        both = int.from_bytes(lame[21:24])
        padding = (both >> 12) + (both & 0xFFF)
    samples = frames * (1152 if sample_rate >= 32_000 else 576) - padding
    return max(0, samples) / sample_rate if sample_rate else None


def _is_mp4_or_webm(data: bytes) -> bool:
    """Return whether the first bytes are an MP4 `ftyp` box or an EBML header (WebM, Matroska)."""
    return data[4:8] == b"ftyp" or data[:4] == b"\x1a\x45\xdf\xa3"
