"""The clip that every server is sent, in the formats that people send."""

import io

import av
import numpy as np
import soundfile

SAMPLE_RATE = 44_100
SECONDS = 4.0


def samples(seconds: float = SECONDS, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Stereo float32 `[frames, 2]`: gliding tones in noise, full enough for any codec."""
    rng = np.random.default_rng(0)
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    glide = np.sin(2 * np.pi * (300 + 100 * np.sin(times)) * times)
    noise = rng.standard_normal((times.size, 2))
    return (0.3 * glide[:, None] + 0.05 * noise).astype(np.float32)


def encode(recording: np.ndarray, format_: str) -> bytes:
    """A file of `recording` `[frames, 2]` as `wav`, `flac`, `mp3` or `m4a`."""
    file = io.BytesIO()
    if format_ == "m4a":
        with av.open(file, "w", format="ipod") as container:
            stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
            planes = np.ascontiguousarray(recording.T)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = 0  # else the file does not say where the encoder's padding ends
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    else:
        soundfile.write(file, recording, SAMPLE_RATE, format=format_.upper())
    return file.getvalue()
