import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.clips import cut, fill, starts


def test_a_short_recording_is_repeated() -> None:
    np.testing.assert_array_equal(
        fill(np.float32([1, 2, 3]), 8, "repeat"), [1, 2, 3, 1, 2, 3, 1, 2]
    )


def test_a_short_recording_is_padded() -> None:
    np.testing.assert_array_equal(fill(np.float32([1, 2, 3]), 5, "pad"), [1, 2, 3, 0, 0])


def test_nothing_cannot_be_repeated() -> None:
    with pytest.raises(ValueError, match="empty recording"):
        fill(np.empty(0, np.float32), 5, "repeat")


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(3, [0]), (10, [0]), (11, [0, 1]), (15, [0, 5]), (20, [0, 5, 10]), (22, [0, 5, 10, 12])],
)
def test_clips_overlap_and_the_last_ends_with_the_recording(
    samples: int, expected: list[int]
) -> None:
    assert starts(samples, length=10, hop=5) == expected


@given(st.integers(1, 500), st.integers(1, 60), st.integers(1, 60))
def test_every_sample_is_in_a_clip(samples: int, length: int, hop: int) -> None:
    recording = np.arange(samples, dtype=np.float32)
    clips = cut(recording, length, min(hop, length), "repeat")
    assert {clip.size for clip in clips} == {length}
    assert set(np.concatenate(clips)) == set(recording)
