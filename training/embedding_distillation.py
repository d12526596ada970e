"""Samples for pretraining on the embedding of a large network."""

from itertools import islice

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from training.dataset import AugmentedClips, SampledDataset
from training.sampling import BalancedSampler, SampleSpec
from training.teachers.yamnet import Yamnet

_STANDARDISATION_SAMPLES = 512


class EmbeddingDataset(SampledDataset):
    """Augmented spectrograms with the teacher's embedding `[1024]` of the same crop.

    The teacher reads the very crop that the network sees ("a patient teacher", Beyer et al.,
    CVPR 2022).
    Embeddings are centred, and scaled as a whole to a mean variance of 1, by those of the first
    samples. Unit by unit, the third of them that is hardly ever active would count as much as
    those that tell sounds apart.
    """

    def __init__(self, inputs: AugmentedClips, teacher: Yamnet, seed: int) -> None:
        """Measure mean and variance of the embeddings; `seed` draws the samples for it."""
        self._inputs = inputs
        self._teacher = teacher
        specs = islice(BalancedSampler(inputs.weights, seed), _STANDARDISATION_SAMPLES)
        embeddings = np.stack([teacher.embed(self._crop(spec)[0]) for spec in specs])
        self._mean = embeddings.mean(axis=0)
        self._scale = np.float32(np.sqrt(embeddings.var(axis=0).mean()))

    def __len__(self) -> int:
        return len(self._inputs.recordings)

    def __getitem__(self, spec: SampleSpec) -> tuple[Tensor, Tensor]:
        samples, rng = self._crop(spec)
        target = (self._teacher.embed(samples) - self._mean) / self._scale
        return self._inputs.spectrogram(samples, rng), torch.from_numpy(target)

    def _crop(self, spec: SampleSpec) -> tuple[NDArray[np.float32], Generator]:
        index, seed = spec
        rng = np.random.default_rng(seed)
        return self._inputs.mixed_crop(index, rng)[0], rng
