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
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a multinomial logistic regression to weighted embeddings, standardised for it.

    Args:
        embeddings: shape `[recordings, features]`.
        y_true: the class of each, below `classes`.
        weights: of each recording, larger than 0.
        classes: number of classes.

    Returns:
        coefficients `[classes, features]` and intercepts `[classes]`, for embeddings as they are;
        for a class that does not occur, zeros and minus infinity.
    """
    scaler = StandardScaler().fit(embeddings)
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
    fractions = np.asarray(weights) / np.sum(weights)
    model.fit(scaler.transform(embeddings), y_true, sample_weight=fractions * len(y_true))
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # of two, sklearn gives the second alone
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    of_all = np.zeros((classes, embeddings.shape[1]), np.float32)
    biases = np.full(classes, -np.inf, np.float32)
    of_all[model.classes_] = coefficients / scaler.scale_
    biases[model.classes_] = intercepts - (coefficients / scaler.scale_) @ scaler.mean_
    return of_all, biases
