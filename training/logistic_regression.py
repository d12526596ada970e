"""Logistic regression on embeddings, as plain weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

_INVERSE_PENALTY = 1e-3
"""for a thousand features of a few thousand recordings"""


def fit_logistic(
    embeddings: NDArray[np.float32],
    y_true: NDArray[np.intp],
    weights: Sequence[float] | NDArray[np.float64],
    classes: int,
    *,
    inverse_penalty: float = _INVERSE_PENALTY,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a multinomial logistic regression to weighted embeddings, standardised for it.

    Args:
        embeddings: shape `[recordings, features]`.
        y_true: the class of each, below `classes`.
        weights: of each recording, larger than 0.
        classes: number of classes.
        inverse_penalty: scikit-learn's `C`.

    Returns:
        coefficients `[classes, features]` and intercepts `[classes]`, for embeddings as they are;
        for a class that does not occur, zeros and minus infinity.
    """
    scaler = StandardScaler().fit(embeddings)
    model = LogisticRegression(C=inverse_penalty, max_iter=500)
    fractions = np.asarray(weights) / np.sum(weights)
    model.fit(scaler.transform(embeddings), y_true, sample_weight=fractions * len(y_true))
    coefficients, intercepts = plain_weights(model, classes)
    coefficients /= scaler.scale_
    intercepts -= coefficients @ scaler.mean_
    return coefficients.astype(np.float32), intercepts.astype(np.float32)


def plain_weights(
    model: LogisticRegression, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights of a fitted model, for each of `classes`, as `fit_logistic` does."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # of two, sklearn gives the second alone
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    of_all, biases = np.zeros((classes, coefficients.shape[1])), np.full(classes, -np.inf)
    of_all[model.classes_], biases[model.classes_] = coefficients, intercepts
    return of_all, biases


def fit_log_odds(
    inside: NDArray[np.float32],
    outside: NDArray[np.float32],
    inside_weights: NDArray[np.float64],
    outside_weights: NDArray[np.float64],
) -> tuple[NDArray[np.float32], float]:
    """Fit the log odds that an embedding is of one side rather than of the other.

    Both sides weigh the same.

    Args:
        inside: shape `[recordings, features]`.
        outside: the same, of other recordings.
        inside_weights: of each recording among those of its side.
        outside_weights: the same.

    Returns:
        the weight of each feature, `[features]`, and the offset.
    """
    coefficients, intercepts = fit_logistic(
        np.concatenate([inside, outside]),
        np.repeat([1, 0], [len(inside), len(outside)]),
        np.concatenate([each / each.sum() for each in (inside_weights, outside_weights)]),
        2,
    )
    return coefficients[1] - coefficients[0], float(intercepts[1] - intercepts[0])
