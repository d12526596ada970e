"""Logistic regression on embeddings, as plain weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

# Of the inverse penalty, in sklearn's terms: a thousand features of a few thousand clips.
_C = 1e-3


def fit_logistic(
    embeddings: NDArray[np.float32],
    truth: NDArray[np.intp],
    weights: Sequence[float] | NDArray[np.float64],
    classes: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit embeddings `[clips, features]` of the classes `truth`, weighted by `weights`.

    The features are standardised for it.

    Returns:
        weights `[classes, features]` and biases `[classes]`, for embeddings as they are; a class
        that does not occur gets none, and minus infinity.
    """
    scaler = StandardScaler().fit(embeddings)
    model = LogisticRegression(C=_C, max_iter=500)
    shares = np.asarray(weights) / np.sum(weights)
    model.fit(scaler.transform(embeddings), truth, sample_weight=shares * len(truth))
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # of two, sklearn gives the second alone
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    of_classes = np.zeros((classes, embeddings.shape[1]), np.float32)
    biases = np.full(classes, -np.inf, np.float32)
    of_classes[model.classes_] = coefficients / scaler.scale_
    biases[model.classes_] = intercepts - (coefficients / scaler.scale_) @ scaler.mean_
    return of_classes, biases
