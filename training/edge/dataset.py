"""The samples that a student learns from: views of recordings, mixed and masked anew each time."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from app.audio.log_mel import LogMelConfig
from training.corpora import LabeledRecording
from training.dataset import SampledDataset, augment_power, mix_targets, one_hot_labels
from training.edge.views import Views
from training.recipes import Recipe
from training.sampling import SampleSpec


class ViewsDataset(SampledDataset):
    """Augmented spectrograms of views, with targets between the label and a prediction.

    The prediction is of the recording as it is, whatever was done to the view: the student learns
    to hear through a corruption what its teacher hears without one.
    """

    def __init__(
        self,
        views: Views,
        recordings: Sequence[LabeledRecording],
        labels: Sequence[str],
        soft_labels: NDArray[np.float32] | None,
        weights: NDArray[np.float64],
        config: LogMelConfig,
        recipe: Recipe,
        embeddings: NDArray[np.float32] | None = None,
    ) -> None:
        """Draw nothing yet.

        Args:
            views: of the recordings.
            recordings: labelled or not.
            labels: in the order of the targets.
            soft_labels: a teacher's predictions, `[recordings, labels]`; None: all are labelled,
                and their labels are all that is learned.
            weights: how often each recording is drawn, `[recordings]`.
            config: of the network's input.
            recipe: which augmentations are applied, and how strongly.
            embeddings: a teacher's, `[recordings, features]`; targets have them behind the labels,
                each feature standardised.
        """
        self._views = views
        self._labels = len(labels)
        targets = _targets(one_hot_labels(recordings, labels), soft_labels, recipe)
        if embeddings is not None:
            targets = np.concatenate([targets, _standardise(embeddings)], axis=1)
        self._targets = targets
        self._cumulative = np.cumsum(weights)
        self._config = config
        self._recipe = recipe

    @property
    def embedding_features(self) -> int:
        """Return how many values of a target are behind the labels."""
        return int(self._targets.shape[1]) - self._labels

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, spec: SampleSpec) -> tuple[Tensor, Tensor]:
        index, seed = spec
        recipe, rng = self._recipe, np.random.default_rng(seed)
        power = self._power(index, rng)
        mixed = None
        if rng.random() < recipe.mixup_probability:
            other = int(np.searchsorted(self._cumulative[:-1], rng.random(), side="right"))
            weight = float(rng.beta(recipe.mixup_alpha, recipe.mixup_alpha))
            # As `training.augment.mixup`: uncorrelated sounds add in power.
            second = self._power(other, rng)
            scale = power.mean() / max(float(second.mean()), self._config.amin)
            power = np.float32(weight) * power + np.float32((1 - weight) * scale) * second
            mixed = (other, weight)
        inputs = augment_power(power, self._config.frames, self._config, recipe, rng)
        return inputs, torch.from_numpy(mix_targets(self._targets, index, mixed))

    def _power(self, index: int, rng: Generator) -> NDArray[np.float32]:
        """Return the mel power of a view of a recording, rotated at random."""
        decibels = self._views.decibels(index, int(rng.integers(self._views.count)))
        rotated = np.roll(decibels, int(rng.integers(decibels.shape[1])), axis=1)
        power: NDArray[np.float32] = 10 ** (rotated / np.float32(10))
        return power


def _standardise(features: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (features - features.mean(axis=0)) / (
        features.std(axis=0) + np.float32(1e-6)
    )
    return scaled


def _targets(
    hard: NDArray[np.float32], soft: NDArray[np.float32] | None, recipe: Recipe
) -> NDArray[np.float32]:
    if soft is None:
        return hard
    softened = soft ** np.float32(1 / recipe.teacher_temperature)
    softened /= softened.sum(axis=1, keepdims=True)
    labelled = np.float32(1 - recipe.distillation_weight) * hard
    targets: NDArray[np.float32] = (
        labelled + (1 - labelled.sum(axis=1, keepdims=True)) * softened
    ).astype(np.float32)
    return targets
