"""Confidence intervals and significance tests of predictions for the same recordings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_CONFIDENCE = 0.95
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The difference between two systems, over the same recordings."""

    interval: Interval
    p_value: float
    """two-sided: how often chance alone would make a difference this large"""


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of repeated runs with Student's interval, e.g. over seeds.

    Raises ValueError with fewer than two values: one run says nothing of its spread.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs two runs or more, got {len(values)}")
    mean = float(np.mean(values))
    margin = float(stats.sem(values) * stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1))
    return Interval(mean, mean - margin, mean + margin)


def paired_bootstrap(
    first: NDArray[np.float64], second: NDArray[np.float64], groups: Sequence[str], *, seed: int
) -> Difference:
    """Return the mean of `first - second` under resampling of whole groups.

    Recordings of one group are much alike: resampled singly, they would promise more than
    there is (cluster bootstrap: Davison and Hinkley, 1997, section 3.8).

    Args:
        first: score of each recording, `[recordings]`, e.g. the fraction of seeds that were right.
        second: the same of the system to compare with.
        groups: speaker or source of each recording.
        seed: of the 10,000 resamples.

    Returns:
        percentile interval; the p-value is twice the smaller fraction of resamples on one side
        of 0, at least 2 / 10,000.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(group_of, weights=first - second)
    sizes = np.bincount(group_of)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=_RESAMPLES)
    means = (counts @ sums) / (counts @ sizes)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    side = min(float(np.mean(means <= 0)), float(np.mean(means >= 0)))
    p_value = min(1.0, 2 * max(side, 1 / _RESAMPLES))
    return Difference(Interval(float(np.mean(first - second)), float(low), float(high)), p_value)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the exact McNemar test (1947) of two systems' correctness, `[recordings]`.

    Returns:
        two-sided p-value: how often a coin that decides which of both is right, where only one
        is, would favour one side as much.
    """
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)
