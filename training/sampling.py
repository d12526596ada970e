"""The recordings that an epoch draws: how often each, and in which order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

from training.corpora import LabeledRecording

SampleSpec = tuple[int, int]
"""(index of a recording, seed of everything random about the sample)"""


def balanced_weights(
    recordings: Sequence[LabeledRecording], *, by_label: bool
) -> NDArray[np.float64]:
    """Return sampling weights that add up to 1, shape `[recordings]`.

    Each recording weighs 1 / sqrt(recordings of its group and label). Those of one speaker, or
    cut from one source, resemble each other: a corpus of two speakers with thousands of
    recordings should not drown one of twenty with hundreds.

    With `by_label`, the weights of each label are then scaled to the same sum: how often a
    label was recorded says little about how often it will be met.
    """
    counts = Counter((recording.group, recording.label) for recording in recordings)
    weights: NDArray[np.float64] = np.array(
        [counts[recording.group, recording.label] ** -0.5 for recording in recordings]
    )
    if by_label:
        _, label = np.unique([recording.label for recording in recordings], return_inverse=True)
        weights /= np.bincount(label, weights)[label]
    weights /= weights.sum()
    return weights


class BalancedSampler(Sampler[SampleSpec]):
    """Draws as many recordings as there are, with replacement, and a seed for each.

    The samples of epoch `n` depend on the seed and `n` alone: a run that was interrupted
    goes on exactly as it would have, whatever the number of workers. Where several devices
    train together, each takes every n-th of the same samples.
    """

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        self._weights = weights
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that is drawn next; the trainer calls it before each."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._weights) // _world_size()

    def __iter__(self) -> Iterator[SampleSpec]:
        rng = np.random.default_rng((self._seed, self._epoch))
        size = len(self._weights)
        indices = rng.choice(size, size=size, p=self._weights)
        seeds = rng.integers(2**63, size=size)
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        specs = zip(indices.tolist(), seeds.tolist(), strict=True)
        return islice(specs, rank, len(self) * _world_size(), _world_size())


def _world_size() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
