"""Scores of recordings with 95 % intervals, from resampling whole speakers or sources."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from earshot.schemas import Estimate, GroupedScores, TagScores

_RESAMPLES = 2_000
_TAG_RESAMPLES = 500
_TAIL = 0.025


def grouped_scores(
    y_true: NDArray[np.intp], y_pred: NDArray[np.intp], groups: Sequence[str], *, seed: int = 0
) -> GroupedScores:
    """Return accuracy and UAR, with percentile intervals of a cluster bootstrap.

    Recordings of one group are much alike: resampled singly, they would promise more than there
    is (Davison and Hinkley, 1997, section 3.8). Of a single group, whose like was never met, the
    recordings are resampled.

    Args:
        y_true: index of each recording's label, `[recordings]`.
        y_pred: the same of the predicted labels.
        groups: speaker or source of each recording.
        seed: of the 2,000 resamples.
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    units = members if len(names) > 1 else np.arange(len(y_true))
    size = int(max(y_true.max(), y_pred.max())) + 1
    confusions = np.zeros((int(units.max()) + 1, size, size), np.int64)
    np.add.at(confusions, (units, y_true, y_pred), 1)
    rng = np.random.default_rng(seed)
    count = len(confusions)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    resampled = np.tensordot(drawn, confusions, axes=1)
    whole = confusions.sum(axis=0)[None]
    return GroupedScores(
        recordings=len(y_true),
        groups=len(names),
        accuracy=_estimate(_accuracy(whole), _accuracy(resampled)),
        uar=_estimate(_uar(whole), _uar(resampled)),
    )


def tag_scores(
    is_tagged: NDArray[np.bool_],
    scores: NDArray[np.float64],
    tags: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int = 0,
) -> TagScores:
    """Return the mean over tags of the average precision of the recordings ordered by score.

    Args:
        is_tagged: whether listeners gave a recording a tag, `[recordings, tags]`.
        scores: probability that the recording has it, `[recordings, tags]`.
        tags: names; those that no recording has are left out.
        groups: sensor or source of each recording.
        seed: of the 500 resamples.
    """
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(members == member) for member in range(len(names))]
    rng = np.random.default_rng(seed)
    resampled = []
    for _ in range(_TAG_RESAMPLES):
        drawn = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        resampled.append(np.mean(list(_precisions(is_tagged[drawn], scores[drawn]).values())))
    precisions = _precisions(is_tagged, scores)
    return TagScores(
        recordings=len(scores),
        groups=len(names),
        mean_average_precision=_estimate(
            np.array([np.mean(list(precisions.values()))]), np.array(resampled)
        ),
        chance=round(float(is_tagged[:, list(precisions)].mean()), 4),
        average_precision={tags[i]: round(value, 4) for i, value in precisions.items()},
    )


def _precisions(is_tagged: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[int, float]:
    return {
        int(tag): float(average_precision_score(is_tagged[:, tag], scores[:, tag]))
        for tag in np.flatnonzero(is_tagged.any(axis=0))
    }


def _accuracy(confusions: NDArray[np.int64]) -> NDArray[np.float64]:
    right: NDArray[np.float64] = np.trace(confusions, axis1=1, axis2=2) / confusions.sum((1, 2))
    return right


def _uar(confusions: NDArray[np.int64]) -> NDArray[np.float64]:
    totals = confusions.sum(axis=2)
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    recalls = hits / np.maximum(totals, 1)
    mean: NDArray[np.float64] = recalls.sum(axis=1) / (totals > 0).sum(axis=1)
    return mean


def _estimate(value: NDArray[np.float64], resampled: NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(resampled, [_TAIL, 1 - _TAIL])
    return Estimate(
        value=round(float(value[0]), 4), low=round(float(low), 4), high=round(float(high), 4)
    )
