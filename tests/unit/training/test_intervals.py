import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.intervals import grouped_scores, tag_scores

RIGHT = np.zeros(40, np.intp)


def test_the_scores_are_those_of_all_recordings() -> None:
    y_true = np.array([0, 0, 0, 1])
    scores = grouped_scores(y_true, np.array([0, 0, 1, 1]), ["a", "a", "b", "b"])
    assert (scores.recordings, scores.groups) == (4, 2)
    assert scores.accuracy.value == 0.75
    assert scores.uar.value == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)


def test_whole_groups_are_resampled() -> None:
    # One of four speakers is never understood: resampled singly, 40 recordings would promise
    # 0.75 by 0.13 about, four speakers promise no more than 0.25 to 1.
    y_pred = np.repeat([0, 0, 0, 1], 10)
    scores = grouped_scores(RIGHT, y_pred, np.repeat(list("abcd"), 10).tolist())
    assert scores.accuracy.low == pytest.approx(0.25)
    assert scores.accuracy.high == 1
    single = grouped_scores(RIGHT, y_pred, ["a"] * 40)
    assert single.groups == 1
    assert single.accuracy.low == pytest.approx(0.6, abs=0.05)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_an_interval_holds_its_value(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.integers(4, size=(2, 60))
    scores = grouped_scores(y_true, y_pred, [f"{i % groups}" for i in range(60)])
    for estimate in (scores.accuracy, scores.uar):
        assert 0 <= estimate.low <= estimate.value + 0.02
        assert estimate.value - 0.02 <= estimate.high <= 1


def test_an_order_that_agrees_with_the_tags_is_precise() -> None:
    is_tagged = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], bool)
    agreeing = np.array([[0.9, 0.1, 0], [0.8, 0, 0], [0.1, 0.9, 0], [0, 0.7, 1]])
    groups = ["a", "b", "a", "b"]
    scores = tag_scores(is_tagged, agreeing, ["dog", "music", "saw"], groups)
    assert scores.mean_average_precision.value == 1
    assert scores.average_precision == {"dog": 1, "music": 1}
    assert (scores.chance, scores.groups) == (0.5, 2)
    opposed = tag_scores(is_tagged, 1 - agreeing, ["dog", "music", "saw"], groups)
    # The last two of four: precisions 1/3 and 2/4.
    assert opposed.average_precision["dog"] == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-4)
