"""The head: a regularised linear classifier of normalised embeddings, and a score of nearness."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from training.logistic_regression import plain_weights

_INVERSE_PENALTY = 1e-2
"""for embeddings of the length of the square root of their dimension"""
_NEVER = -30.0
"""logit of a label that does not occur"""


@dataclass(frozen=True)
class ProbeHead:
    """Weights on embeddings of the Euclidean length 1."""

    coefficients: NDArray[np.float32]
    """shape `[labels, features]`"""
    intercepts: NDArray[np.float32]
    """shape `[labels]`"""
    prototypes: NDArray[np.float32]
    """the normalised mean embedding of each label, `[labels, features]`"""

    def outputs(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of the labels and the OOD score, `[clips, labels + 1]`.

        The score is the cosine similarity to the nearest prototype.
        """
        unit = normalize(embeddings)
        logits = unit @ self.coefficients.T + self.intercepts
        nearness = (unit @ self.prototypes.T).max(axis=1, keepdims=True)
        return np.concatenate([logits, nearness], axis=1).astype(np.float32)


def fit_head(
    embeddings: NDArray[np.float32],
    y_true: NDArray[np.intp],
    weights: NDArray[np.float64],
    labels: int,
) -> ProbeHead:
    """Fit a multinomial logistic regression and the prototypes; all labels weigh the same.

    Args:
        embeddings: as they are, shape `[clips, features]`.
        y_true: the label of each, below `labels`.
        weights: of each clip, larger than 0.
        labels: number of labels; one that does not occur is never the answer.
    """
    unit = normalize(embeddings)
    scale = np.sqrt(unit.shape[1], dtype=np.float32)
    balanced = weights / np.bincount(y_true, weights, labels)[y_true]
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
    # Products of this size gain nothing from threads, which wait for each other where others work.
    with threadpool_limits(1, "blas"):
        model.fit(unit * scale, y_true, sample_weight=balanced * (len(y_true) / balanced.sum()))
    coefficients, intercepts = plain_weights(model, labels)
    intercepts[np.isneginf(intercepts)] = _NEVER  # which a graph can hold
    sums = np.zeros((labels, unit.shape[1]))
    np.add.at(sums, y_true, unit * weights[:, None])
    return ProbeHead(
        (coefficients * scale).astype(np.float32),
        intercepts.astype(np.float32),
        normalize(sums).astype(np.float32),
    )
