"""Live sound, cut into clips wherever its pieces end."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.inference.streaming import SlidingWindowBuffer
from tests.support.cards import LOG_MEL

CONFIG = LOG_MEL.model_copy(
    update={"sample_rate": 4_000, "clip_seconds": 0.25, "clip_hop_seconds": 0.25, "padding": "pad"}
)
SAMPLES = np.random.default_rng(1).integers(-30_000, 30_000, 9_000).astype("<i2")


@given(
    sizes=st.lists(st.integers(0, 2_500), min_size=1, max_size=12),
    hop_seconds=st.sampled_from([0.05, 0.1, 0.25, 0.6]),
)
def test_each_clip_is_what_came_last(sizes: list[int], hop_seconds: float) -> None:
    """Of the second before too, where clips overlap."""
    buffer = SlidingWindowBuffer(CONFIG, sample_rate=4_000, hop_seconds=hop_seconds)
    clips, received = [], 0
    for size in sizes:
        piece = SAMPLES[received : received + size]
        received += piece.size
        clips += buffer.push(piece.tobytes())
    hop, length = round(hop_seconds * 4_000), CONFIG.clip_samples
    ends = np.array([end for end, _ in clips]) * 4_000
    # What the resampler still holds is yet to come.
    assert ends.tolist() == [hop * (number + 1) for number in range(len(clips))]
    assert received - 2 * hop - 1_000 < (ends[-1] if clips else 0) <= received
    for end, clip in zip(ends.astype(int), (clip for _, clip in clips), strict=True):
        expected = SAMPLES[max(0, end - length) : end].astype(np.float32) / 32_768
        assert clip.shape == (length,)
        np.testing.assert_allclose(clip[: expected.size], expected, atol=2e-3)
        assert not clip[expected.size :].any()
