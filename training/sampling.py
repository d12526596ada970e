"""How often each clip is drawn."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.corpora.clip import Clip


def balanced_weights(clips: Sequence[Clip], *, by_label: bool) -> NDArray[np.float64]:
    """Sampling weights that add up to 1: each clip by 1 / sqrt(clips of its group and label).

    Clips of one speaker, or cut from one recording, resemble each other: a corpus of two
    speakers with thousands of clips should not drown one of twenty with hundreds.

    With `by_label`, the weights of each label are then scaled to the same sum: how often a
    label was recorded says little about how often it will be met.
    """
    counts = Counter((clip.group, clip.label) for clip in clips)
    weights: NDArray[np.float64] = np.array(
        [counts[clip.group, clip.label] ** -0.5 for clip in clips]
    )
    if by_label:
        _, label = np.unique([clip.label for clip in clips], return_inverse=True)
        weights /= np.bincount(label, weights)[label]
    weights /= weights.sum()
    return weights
