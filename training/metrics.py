"""How good answers are: accuracy, UAR, F1, confusion, calibration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from earshot.schemas import Scores
from app.inference.engine import apply_temperature

BINS = 15
_TEMPERATURES = (0.05, 20.0)

Logits = Sequence[NDArray[np.float32]]
"""of each recording, shape `[clips, labels]`"""


def recording_probabilities(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """What the service answers: the mean over each recording's clips, `[recordings, labels]`."""
    return np.array(
        [apply_temperature(clips, temperature).mean(axis=0) for clips in logits], np.float64
    )


def score(
    truth: NDArray[np.intp], answers: NDArray[np.intp], labels: Sequence[str], groups: int
) -> Scores:
    """Compare answered with true labels, both as indices into `labels`.

    UAR, the unweighted average recall, and macro F1 are means over the labels that occur
    in `truth`.
    """
    confusion = confusion_matrix(truth, answers, labels=range(len(labels)))
    occurring = _where(confusion.sum(axis=1) > 0)
    recall = np.diag(confusion)[occurring] / confusion.sum(axis=1)[occurring]
    return Scores(
        clips=len(truth),
        groups=groups,
        accuracy=round(float(np.mean(truth == answers)), 4),
        uar=round(float(recall.mean()), 4),
        macro_f1=round(
            float(f1_score(truth, answers, labels=occurring, average="macro", zero_division=0)), 4
        ),
        recall={
            labels[i]: round(float(value), 4) for i, value in zip(occurring, recall, strict=True)
        },
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def fit_temperature(logits: Logits, truth: NDArray[np.intp]) -> float:
    """The temperature under which the true labels are most likely."""

    def negative_log_likelihood(log_temperature: float) -> float:
        probabilities = recording_probabilities(logits, float(np.exp(log_temperature)))
        return float(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-12).mean())

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(low, high)).x))


def cross_fitted_probabilities(
    logits: Logits, truth: NDArray[np.intp], groups: Sequence[str]
) -> NDArray[np.float64]:
    """Probabilities of each group under the temperature that was fitted on all other groups.

    So that calibration can be judged on the same clips without having seen them. A single
    group keeps the temperature 1.
    """
    owners = np.array(groups)
    probabilities = np.empty((len(truth), logits[0].shape[1]))
    for group in np.unique(owners):
        others, here = _where(owners != group), _where(owners == group)
        temperature = fit_temperature([logits[i] for i in others], truth[others]) if others else 1.0
        probabilities[here] = recording_probabilities([logits[i] for i in here], temperature)
    return probabilities


def expected_calibration_error(
    probabilities: NDArray[np.float64], truth: NDArray[np.intp]
) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins (Naeini et al., AAAI 2015)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(right[bins == b].mean() - confidence[bins == b].mean()) * np.mean(bins == b)
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def auroc(known: NDArray[np.float32], foreign: NDArray[np.float32]) -> float:
    """Share of the pairs in which the known one is larger, ties counted half."""
    truth = np.repeat([1, 0], [len(known), len(foreign)])
    return float(roc_auc_score(truth, np.concatenate([known, foreign])))


def _where(condition: NDArray[np.bool_]) -> list[int]:
    indices: list[int] = np.flatnonzero(condition).tolist()
    return indices
