"""Codecs and change of tempo by FFmpeg (PyAV), in memory."""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import av
import av.audio.frame
import av.filter
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
G711 = Literal["alaw", "mulaw"]

_ENCODERS = {"opus": ("libopus", "ogg", "s16"), "mp3": ("libmp3lame", "mp3", "s16p")}
_BLOCK = 4_096


def encode_and_decode(
    samples: Array, sample_rate: int, codec: Literal["opus", "mp3"], kbps: int
) -> tuple[Array, int]:
    """Return what a file of `kbps` kbit/s holds of `samples`, and its sample rate in Hz.

    The delay of the encoder is taken off, as players do; a few samples more or less may be at
    the end.
    """
    encoder, container, sample_format = _ENCODERS[codec]
    file = io.BytesIO()
    with av.open(file, mode="w", format=container) as output:
        stream = output.add_stream(encoder, rate=sample_rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 1_000 * kbps
        stream.format = sample_format
        for frame in _frames(samples, sample_rate, sample_format):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, mode="r") as source:
        rate = source.streams.audio[0].codec_context.sample_rate
        decoded = [_samples(frame) for frame in source.decode(audio=0)]
    return np.concatenate(decoded), rate


def through_g711(samples: Array, law: G711) -> Array:
    """Return `samples` after the 8 bits of G.711; shape `[samples]`."""
    encoder = av.CodecContext.create(f"pcm_{law}", "w")
    decoder = av.CodecContext.create(f"pcm_{law}", "r")
    assert isinstance(encoder, av.AudioCodecContext)
    assert isinstance(decoder, av.AudioCodecContext)
    for context in (encoder, decoder):
        context.sample_rate, context.layout = 8_000, "mono"
    encoder.format = "s16"
    packets = [
        packet
        for frame in (*_frames(samples, 8_000, "s16"), None)
        for packet in encoder.encode(frame)
    ]
    decoded = [_samples(frame) for packet in packets for frame in decoder.decode(packet)]
    return np.concatenate(decoded)[: samples.size]


def change_tempo(samples: Array, sample_rate: int, factor: float) -> Array:
    """Return `samples` played `factor` times as fast at the same pitch.

    A recording too short for FFmpeg's window, a few samples, comes back as it is.
    """
    graph = av.filter.Graph()
    nodes = [
        graph.add_abuffer(
            sample_rate=sample_rate,
            format="flt",
            layout="mono",
            time_base=Fraction(1, sample_rate),
        ),
        graph.add("atempo", f"{factor}"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    for frame in _frames(samples, sample_rate, "flt"):
        graph.push(frame)
    graph.push(None)
    return np.concatenate(list(_pull(graph)) or [samples])


def _pull(graph: av.filter.Graph) -> Iterator[Array]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return
        assert isinstance(frame, av.audio.frame.AudioFrame)
        yield _samples(frame)


def _frames(
    samples: Array, sample_rate: int, sample_format: str
) -> Iterator[av.audio.frame.AudioFrame]:
    if sample_format.startswith("s16"):
        content = np.rint(samples.clip(-1, 1) * 32_767).astype(np.int16)
    else:
        content = samples
    for start in range(0, content.size, _BLOCK):
        block = np.ascontiguousarray(content[start : start + _BLOCK])[None]
        frame = av.audio.frame.AudioFrame.from_ndarray(block, sample_format, "mono")
        frame.sample_rate, frame.pts = sample_rate, start
        frame.time_base = Fraction(1, sample_rate)
        yield frame


def _samples(frame: av.audio.frame.AudioFrame) -> Array:
    content = frame.to_ndarray()[0]
    samples: Array = content.astype(np.float32)
    return samples / np.float32(32_767) if content.dtype == np.int16 else samples
