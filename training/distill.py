"""Examples for pretraining on what a large tagger hears."""

from itertools import islice

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from training.dataset import AugmentedClips, BalancedSampler, Draw, DrawnExamples
from training.teachers.yamnet import Yamnet

_STANDARDISING_DRAWS = 512


class DistillationSet(DrawnExamples):
    """Spectrograms with the teacher's embedding `[1024]` of the same sound.

    The teacher hears the very crop that the network sees ("a patient teacher", Beyer et al.,
    CVPR 2022).
    Embeddings are centred, and scaled as a whole to a mean variance of 1, by those of the first
    draws. Unit by unit, the third of them that is hardly ever active would count as much as
    those that tell sounds apart.
    """

    def __init__(self, inputs: AugmentedClips, tagger: Yamnet, seed: int) -> None:
        self._inputs = inputs
        self._tagger = tagger
        sampler = BalancedSampler(inputs.weights, seed)
        draws = islice(sampler, _STANDARDISING_DRAWS)
        embeddings = np.stack([tagger.embed(self._samples(draw)[0]) for draw in draws])
        self._mean = embeddings.mean(axis=0)
        self._scale = np.float32(np.sqrt(embeddings.var(axis=0).mean()))

    def __len__(self) -> int:
        return len(self._inputs.clips)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        samples, rng = self._samples(draw)
        target = (self._tagger.embed(samples) - self._mean) / self._scale
        return self._inputs.spectrogram(samples, rng), torch.from_numpy(target)

    def _samples(self, draw: Draw) -> tuple[NDArray[np.float32], Generator]:
        index, seed = draw
        rng = np.random.default_rng(seed)
        return self._inputs.mixed_crop(index, rng)[0], rng
