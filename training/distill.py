"""Examples for pretraining on what a large tagger hears."""

from itertools import islice

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from training.data import AugmentedClips, BalancedSampler, Draw, DrawnExamples
from training.teacher import Yamnet

_STANDARDISING_DRAWS = 512
_SMALLEST_DEVIATION = 1e-2


class DistillationSet(DrawnExamples):
    """Spectrograms with the teacher's embedding `[1024]` of the same sound.

    The teacher hears each crop and each mixture itself ("a patient teacher", Beyer et al.,
    CVPR 2022), so that a few thousand clips make as many different sounds as there are steps.
    Embeddings are standardised to mean 0 and deviation 1 by those of the first draws.
    """

    def __init__(self, inputs: AugmentedClips, tagger: Yamnet, seed: int) -> None:
        self._inputs = inputs
        self._tagger = tagger
        sampler = BalancedSampler(inputs.weights, seed)
        draws = islice(sampler, _STANDARDISING_DRAWS)
        embeddings = np.stack([tagger.embed(self._samples(draw)[0]) for draw in draws])
        self._mean = embeddings.mean(axis=0)
        # Units that are never active carry nothing to learn.
        self._deviation = np.maximum(embeddings.std(axis=0), _SMALLEST_DEVIATION)

    def __len__(self) -> int:
        return len(self._inputs.clips)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        samples, rng = self._samples(draw)
        target = (self._tagger.embed(samples) - self._mean) / self._deviation
        return self._inputs.spectrogram(samples, rng), torch.from_numpy(target)

    def _samples(self, draw: Draw) -> tuple[NDArray[np.float32], Generator]:
        index, seed = draw
        rng = np.random.default_rng(seed)
        return self._inputs.mixed_crop(index, rng)[0], rng
