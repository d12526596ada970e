"""Files in the formats that libsndfile cannot write, made with FFmpeg."""

import io

import av
import numpy as np
from numpy.typing import NDArray


def encode_av(
    samples: NDArray[np.float32], rate: int, container: str, codec: str, bit_rate: int = 128_000
) -> bytes:
    """Encode `[frames, channels]` samples with FFmpeg's `codec` into `container`."""
    file = io.BytesIO()
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    return file.getvalue()
