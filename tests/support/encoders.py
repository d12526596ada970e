"""Files in the formats that libsndfile cannot write, made with FFmpeg."""

import io

import av
import numpy as np
from numpy.typing import NDArray


def encode_av(
    samples: NDArray[np.float32],
    rate: int,
    container: str,
    codec: str,
    options: dict[str, str] | None = None,
    pts: int | None = None,
) -> bytes:
    """Encode `[frames, channels]` samples with FFmpeg's `codec` into `container`.

    Without a `pts` of the first sample, an MP4 does not say what its encoder padded.
    """
    file = io.BytesIO()
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(file, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        frame.pts = pts
        convert = av.AudioResampler(stream.format, layout, rate, stream.frame_size)
        for converted in (*convert.resample(frame), *convert.resample(None), None):
            # FLAC ends with an empty packet that Ogg's muxer does not take.
            output.mux(packet for packet in stream.encode(converted) if packet.size)
    return file.getvalue()
