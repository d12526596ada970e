import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.clips import clip_starts, iter_clips, pad_or_repeat


def test_a_short_recording_is_repeated() -> None:
    np.testing.assert_array_equal(
        pad_or_repeat(np.float32([1, 2, 3]), 8, "repeat"), [1, 2, 3, 1, 2, 3, 1, 2]
    )


def test_a_short_recording_is_padded() -> None:
    np.testing.assert_array_equal(pad_or_repeat(np.float32([1, 2, 3]), 5, "pad"), [1, 2, 3, 0, 0])


def test_nothing_cannot_be_repeated() -> None:
    with pytest.raises(ValueError, match="empty recording"):
        pad_or_repeat(np.empty(0, np.float32), 5, "repeat")


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(3, [0]), (10, [0]), (11, [0, 1]), (15, [0, 5]), (20, [0, 5, 10]), (22, [0, 5, 10, 12])],
)
def test_clips_overlap_and_the_last_ends_with_the_recording(
    samples: int, expected: list[int]
) -> None:
    assert clip_starts(samples, length=10, hop=5) == expected


@pytest.mark.parametrize(("rest", "clips"), [(999, 1), (1000, 2)])
def test_what_an_encoder_pads_is_no_clip(rest: int, clips: int) -> None:
    recording = np.zeros(64_000 + rest, np.float32)
    assert len(clip_starts(recording.size, length=64_000, hop=32_000)) == clips
    assert len(list(iter_clips([recording], 64_000, 32_000, "repeat"))) == clips


@given(st.lists(st.integers(1, 90), min_size=1, max_size=9), st.integers(1, 60), st.data())
def test_cutting_blocks_is_cutting_the_whole(
    blocks: list[int], length: int, data: st.DataObject
) -> None:
    hop = data.draw(st.integers(1, length))
    recording = np.arange(sum(blocks), dtype=np.float32)
    pieces = np.split(recording, np.cumsum(blocks)[:-1])
    clips = list(iter_clips(pieces, length, hop, "repeat"))
    assert [start for start, _ in clips] == clip_starts(recording.size, length, hop)
    whole = pad_or_repeat(recording, length, "repeat")
    for start, clip in clips:
        np.testing.assert_array_equal(clip, whole[start : start + length])
