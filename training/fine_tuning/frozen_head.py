"""The head of a speech ensemble's frozen side, fitted on statistics that are computed once."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.logistic_regression import fit_log_odds
from training.networks.speech_ensemble import FrozenHead

Statistics = NDArray[np.float16]
"""of recordings, shape `[versions, recordings, features]`; version 0 is not augmented"""

_MIN_SCALE = 1e-4
_BLOCK = 1_024
"""recordings at a time"""


@dataclass(frozen=True)
class HeadRecipe:
    """How a frozen head is fitted, by AdamW with OneCycleLR."""

    augmented_versions: int = 2
    """of each recording, beside the recording as it is"""
    augmented_probability: float = 0.6
    """of an augmented version to be drawn"""
    epochs: int = 12
    head_batch_size: int = 128
    head_learning_rate: float = 1e-3
    head_weight_decay: float = 1e-2
    statistics_dropout: float = 0.3
    hidden_dropout: float = 0.5
    mixup_alpha: float = 0.4
    """of mixup (Zhang et al., ICLR 2018) of two recordings' statistics"""
    label_smoothing: float = 0.1


@dataclass(frozen=True)
class LabelledStatistics:
    """What a head learns from."""

    statistics: Statistics
    y_true: NDArray[np.intp]
    """label of each recording"""
    weights: NDArray[np.float64]
    """probability of each to be drawn; they add up to 1"""
    offsets: NDArray[np.float32]
    """to the logits in training, `[recordings, labels]`: see `batches.label_offsets`"""


def fit_frozen_head(data: LabelledStatistics, recipe: HeadRecipe, seed: int) -> FrozenHead:
    """Fit a head that tells the labels.

    Args:
        data: what it learns from.
        recipe: how.
        seed: of everything random.

    Returns:
        the head, in evaluation mode; it reads statistics as they are.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    versions, recordings, features = data.statistics.shape
    labels = data.offsets.shape[1]
    mean = data.statistics[0].mean(axis=0, dtype=np.float64)
    scale = np.maximum(data.statistics[0].std(axis=0, dtype=np.float64), _MIN_SCALE)
    head = FrozenHead(features, labels, dropout=recipe.hidden_dropout)
    network = nn.Sequential(nn.Dropout(recipe.statistics_dropout), head)
    steps = max(1, recipe.epochs * recordings // recipe.head_batch_size)
    optimizer = torch.optim.AdamW(
        network.parameters(), recipe.head_learning_rate, weight_decay=recipe.head_weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.head_learning_rate, steps)
    for _ in range(steps):
        drawn = rng.choice(recordings, recipe.head_batch_size, p=data.weights)
        version = np.where(
            rng.random(drawn.size) < recipe.augmented_probability,
            rng.integers(min(1, versions - 1), versions, drawn.size),
            0,
        )
        standardised = (data.statistics[version, drawn] - mean) / scale
        targets = functional.one_hot(torch.from_numpy(data.y_true[drawn]), labels).float()
        inputs, targets, offsets = _mix(
            torch.from_numpy(standardised.astype(np.float32)),
            targets,
            torch.from_numpy(data.offsets[drawn]),
            rng.beta(recipe.mixup_alpha, recipe.mixup_alpha, drawn.size),
            rng.permutation(drawn.size),
        )
        loss = functional.cross_entropy(
            network(inputs) + offsets, targets, label_smoothing=recipe.label_smoothing
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    _read_as_they_are(head, mean, scale)
    return head.eval()


def _mix(
    inputs: Tensor,
    targets: Tensor,
    offsets: Tensor,
    shares: NDArray[np.float64],
    partners: NDArray[np.intp],
) -> tuple[Tensor, Tensor, Tensor]:
    share = torch.from_numpy(shares.astype(np.float32))[:, None]
    return (
        share * inputs + (1 - share) * inputs[partners],
        share * targets + (1 - share) * targets[partners],
        # A label that one of both corpora has may be the answer.
        torch.maximum(offsets, offsets[partners]),
    )


@torch.no_grad()
def _read_as_they_are(
    head: FrozenHead, mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> None:
    """Let a head of standardised statistics read statistics as they are."""
    first = head.projection[0]
    assert isinstance(first, nn.Linear)
    weight = first.weight.double() / torch.from_numpy(scale)
    first.bias.sub_((weight @ torch.from_numpy(mean)).float())
    first.weight.copy_(weight)


@torch.no_grad()
def add_ood_output(
    head: FrozenHead,
    in_distribution: Statistics,
    weights: NDArray[np.float64],
    out_of_distribution: Statistics,
    other_weights: NDArray[np.float64],
) -> None:
    """Give a head one more output: the log odds that a recording is in distribution.

    A logistic regression on the head's hidden layer, between what it was fitted on, augmented
    versions too, and recordings of other kinds (outlier exposure: Hendrycks, Mazeika and
    Dietterich, ICLR 2019).

    Args:
        head: fitted.
        in_distribution: recordings of its own kind.
        weights: of these recordings.
        out_of_distribution: recordings of other kinds.
        other_weights: of those.
    """
    direction, offset = fit_log_odds(
        _hidden(head, in_distribution),
        _hidden(head, out_of_distribution),
        np.tile(weights, len(in_distribution)),
        np.tile(other_weights, len(out_of_distribution)),
    )
    head.add_output(torch.from_numpy(direction), offset)


def _hidden(head: FrozenHead, statistics: Statistics) -> NDArray[np.float32]:
    """Return the hidden layer `[versions * recordings, hidden]`."""
    flat = statistics.reshape(-1, statistics.shape[-1])
    hidden = [
        head.embed(torch.from_numpy(flat[start : start + _BLOCK]).float()).numpy()
        for start in range(0, len(flat), _BLOCK)
    ]
    return np.concatenate(hidden)
