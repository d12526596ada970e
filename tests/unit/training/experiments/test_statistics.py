import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training.experiments.statistics import mcnemar, mean_interval, paired_bootstrap


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9).filter(lambda v: np.ptp(v) > 1e-6))
def test_the_interval_is_students(values: list[float]) -> None:
    found = mean_interval(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))


def test_one_run_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two runs or more, got 1"):
        mean_interval([0.7])


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    # The binomial tail by hand: 2 * sum of C(n, k) / 2^n up to the smaller count.
    [(10, 2, 2 * 79 / 4096), (2, 10, 2 * 79 / 4096), (5, 0, 2 / 32), (3, 3, 1.0), (0, 0, 1.0)],
)
def test_mcnemar(only_first: int, only_second: int, expected: float) -> None:
    both = [True] * 20 + [False] * 7
    first = np.array([True] * only_first + [False] * only_second + both)
    second = np.array([False] * only_first + [True] * only_second + both)
    assert mcnemar(first, second) == pytest.approx(expected)


def test_no_difference_is_no_evidence() -> None:
    scores = np.random.default_rng(0).random(50)
    found = paired_bootstrap(scores, scores, [str(i) for i in range(50)], seed=0)
    assert (found.interval.mean, found.interval.low, found.interval.high) == (0, 0, 0)
    assert found.p_value == 1


def test_the_bootstrap_agrees_with_theory() -> None:
    """For many independent recordings, the interval is that of the normal distribution."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.05, 1, 2000), np.zeros(2000)
    found = paired_bootstrap(first, second, [str(i) for i in range(2000)], seed=0)
    reach = 1.96 * first.std() / np.sqrt(2000)
    assert found.interval.mean == pytest.approx(first.mean())
    assert found.interval.low == pytest.approx(first.mean() - reach, abs=0.003)
    assert found.interval.high == pytest.approx(first.mean() + reach, abs=0.003)
    z = first.mean() / (first.std() / np.sqrt(2000))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.01)


def test_copies_of_a_recording_are_no_more_evidence() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0.1, 1, 100)
    single = paired_bootstrap(values, np.zeros(100), [str(i) for i in range(100)], seed=0)
    copies = paired_bootstrap(
        np.repeat(values, 5), np.zeros(500), [str(i // 5) for i in range(500)], seed=0
    )
    assert copies.interval.low == pytest.approx(single.interval.low)
    assert copies.p_value == pytest.approx(single.p_value)
    naive = paired_bootstrap(
        np.repeat(values, 5), np.zeros(500), [str(i) for i in range(500)], seed=0
    )
    assert naive.interval.high - naive.interval.low < 0.6 * (
        copies.interval.high - copies.interval.low
    )
