"""Metrics of predictions: accuracy, UAR, F1, confusion, calibration, AUROC."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from app.inference.engine import apply_temperature
from earshot.schemas import Scores

BINS = 15
TARGET_COVERAGE = 0.95
"""fraction of clips that are not trained on and get a label; OOD thresholds are chosen for it"""
_TEMPERATURES = (0.05, 20.0)

Logits = Sequence[NDArray[np.float32]]
"""of each recording, shape `[clips, labels]`"""


def recording_probabilities(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """Return the mean over each recording's clips, as the service does, `[recordings, labels]`."""
    return np.array(
        [apply_temperature(clips, temperature).mean(axis=0) for clips in logits], np.float64
    )


def score(
    y_true: NDArray[np.intp], y_pred: NDArray[np.intp], labels: Sequence[str], groups: int
) -> Scores:
    """Compare predicted with true labels, both as indices into `labels`.

    UAR, the unweighted average recall, and macro F1 are means over the labels that occur
    in `y_true`. `groups` is how many groups the recordings are of.
    """
    confusion = confusion_matrix(y_true, y_pred, labels=range(len(labels)))
    occurring = _where(confusion.sum(axis=1) > 0)
    recall = np.diag(confusion)[occurring] / confusion.sum(axis=1)[occurring]
    return Scores(
        clips=len(y_true),
        groups=groups,
        accuracy=round(float(np.mean(y_true == y_pred)), 4),
        uar=round(float(recall.mean()), 4),
        macro_f1=round(
            float(f1_score(y_true, y_pred, labels=occurring, average="macro", zero_division=0)), 4
        ),
        recall={
            labels[i]: round(float(value), 4) for i, value in zip(occurring, recall, strict=True)
        },
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def fit_temperature(logits: Logits, y_true: NDArray[np.intp]) -> float:
    """Return the temperature under which the true labels are most likely."""

    def negative_log_likelihood(log_temperature: float) -> float:
        probabilities = recording_probabilities(logits, float(np.exp(log_temperature)))
        return float(-np.log(probabilities[np.arange(len(y_true)), y_true] + 1e-12).mean())

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(low, high)).x))


def cross_fitted_probabilities(
    logits: Logits, y_true: NDArray[np.intp], groups: Sequence[str]
) -> NDArray[np.float64]:
    """Return each group's probabilities under the temperature fitted on all other groups.

    Calibration can so be judged on the same recordings without having seen them. A single
    group keeps the temperature 1.
    """
    group_of = np.array(groups)
    probabilities = np.empty((len(y_true), logits[0].shape[1]))
    for group in np.unique(group_of):
        others, here = _where(group_of != group), _where(group_of == group)
        temperature = (
            fit_temperature([logits[i] for i in others], y_true[others]) if others else 1.0
        )
        probabilities[here] = recording_probabilities([logits[i] for i in here], temperature)
    return probabilities


def expected_calibration_error(
    probabilities: NDArray[np.float64], y_true: NDArray[np.intp]
) -> float:
    """Return the mean gap of confidence and accuracy over 15 bins (Naeini et al., AAAI 2015)."""
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == y_true
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    differences = [
        abs(is_right[bins == b].mean() - confidence[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return float(sum(differences))


def ood_threshold(in_distribution: NDArray[np.float32]) -> float:
    """Return the OOD score, of clips that were not trained on, that `TARGET_COVERAGE` reach."""
    return round(float(np.quantile(in_distribution, 1 - TARGET_COVERAGE)), 4)


def auroc(in_distribution: NDArray[np.float32], ood: NDArray[np.float32]) -> float:
    """Return the fraction of pairs in which the first score is larger, ties counted half."""
    y_true = np.repeat([1, 0], [len(in_distribution), len(ood)])
    return float(roc_auc_score(y_true, np.concatenate([in_distribution, ood])))


def _where(condition: NDArray[np.bool_]) -> list[int]:
    indices: list[int] = np.flatnonzero(condition).tolist()
    return indices
