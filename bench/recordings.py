"""The recordings that servers are sent: in every format, and some that cannot be answered."""

import io
from collections.abc import Iterator
from itertools import cycle

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.load import Request, post
from bench.servers import URBAN_SOUND

SAMPLE_RATE = 44_100
SECONDS = 4.0
EMOTION, SPECTROGRAM = "/classify/emotion", "/spectrogram"
FORMATS = ("wav", "flac", "ogg", "mp3", "m4a")


def make_samples(seconds: float = SECONDS, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Make stereo samples `[frames, 2]`: gliding tones in noise, full enough for any codec."""
    rng = np.random.default_rng(0)
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    glide = np.sin(2 * np.pi * (300 + 100 * np.sin(times)) * times)
    noise = rng.standard_normal((times.size, 2))
    return (0.3 * glide[:, None] + 0.05 * noise).astype(np.float32)


def encode(samples: NDArray[np.float32], format_: str) -> bytes:
    """Encode `[frames, 2]` as a file of one of the `FORMATS`."""
    file = io.BytesIO()
    if format_ == "m4a":
        with av.open(file, "w", format="ipod") as container:
            stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
            planes = np.ascontiguousarray(samples.T)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = 0  # else the file does not say where the encoder's padding ends
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    else:
        soundfile.write(file, samples, SAMPLE_RATE, format=format_.upper())
    return file.getvalue()


def wav_clip() -> bytes:
    """Return the clip that every server is sent: 4 s of stereo WAV."""
    return encode(make_samples(), "wav")


def clip_request() -> Request:
    """Return the request that classifies this clip."""
    return post(URBAN_SOUND, wav_clip(), kind="urban-sound wav")


def request_mix() -> Iterator[Request]:
    """Yield without end: every format to every task, one in ten bad, silent or a spectrogram.

    A request's kind is `<task> <format>`; that of one that cannot be answered is `bad: ...`.
    """
    samples = make_samples()
    files = {format_: encode(samples, format_) for format_ in FORMATS}
    short = encode(samples[:SAMPLE_RATE], "wav")
    silence = encode(np.zeros_like(samples), "wav")
    usual = [
        post(path, files[format_], kind=f"{path.rpartition('/')[2]} {format_}")
        for format_ in FORMATS
        for path in (URBAN_SOUND, EMOTION)
    ]
    unusual = cycle(
        [
            post(URBAN_SOUND, files["flac"][:20_000], kind="bad: cut short"),
            post(URBAN_SOUND, b"no sound at all" * 100, kind="bad: no sound"),
            post(URBAN_SOUND, silence, kind="urban-sound silence"),
            post(f"{SPECTROGRAM}?width=400&height=200", short, kind="spectrogram"),
            post(SPECTROGRAM, silence, kind="bad: spectrogram of silence"),
            post(f"{URBAN_SOUND}?window=square", short, kind="bad: parameter"),
        ]
    )
    while True:
        yield from usual[:9]
        yield next(unusual)
        usual.append(usual.pop(0))
