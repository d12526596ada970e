"""Pretraining: a ResNet50 learns to predict what a large tagger hears."""

from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from app.audio.windows import WindowName
from training.data import AugmentedClips, BalancedSampler, Draw
from training.datasets import load_corpora
from training.fit import DistillationLearner, Run, Schedule, balanced_loader, fit
from training.held_out import Folds, all_standard_folds
from training.network import ResNetAudioClassifier
from training.pretrained import Pretraining, save_pretrained, start_from
from training.recipes import Recipe, front_end
from training.runs import claim
from training.splits import hold_out
from training.teacher import EMBEDDING_SIZE, Yamnet
from training.waveforms import decode_all, readable

WEIGHTS = "pretrained.safetensors"
_DESCRIPTION = "regression of YAMNet's embedding, without labels"
_STANDARDISING_DRAWS = 512
_SMALLEST_DEVIATION = 1e-2


class DistillationSet(Dataset[tuple[Tensor, Tensor]]):
    """Spectrograms `[1, mels, frames]` with the teacher's embedding `[1024]` of the same sound.

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


@dataclass(frozen=True)
class PretrainingJob:
    """What to pretrain."""

    corpora: tuple[str, ...]
    """names of `training.datasets.CORPORA`; those without a folder in `data` are left out"""
    window: WindowName
    data: Path
    cache: Path
    """decoded recordings are kept here between runs"""
    recipe: Recipe
    held_out: Folds | None
    """folds to leave out, with all clips that share a group with them, so that a network that
    starts from the result has never heard what it will be tested on; None: what tasks hold out"""
    pretrained: Path | None
    """weights to start from"""


def pretrain(job: PretrainingJob, run: Run) -> Path:
    """Regress YAMNet's embedding on all clips; labels are not used.

    Returns:
        the file of weights, for `earshot train --pretrained`.

    Raises:
        CorpusError, SplitError, RunError: see their modules.
    """
    parameters = front_end(job.recipe, job.window)
    clips = load_corpora(job.data, job.corpora)
    folds = job.held_out or all_standard_folds(clips, run.seed)
    claim(run.folder, {**asdict(job), "held_out": folds, "seed": run.seed})
    waveforms = decode_all(clips, sample_rate=parameters.sample_rate, cache=job.cache)
    split = hold_out(readable(clips, waveforms), folds)
    held_out = frozenset(clip.group for clip in split.test)
    torch.manual_seed(run.seed)
    network = ResNetAudioClassifier(EMBEDDING_SIZE, dropout=job.recipe.dropout)
    if job.pretrained is not None:
        start_from(job.pretrained, network, held_out)
    inputs = AugmentedClips(split.train, waveforms, parameters, job.recipe)
    dataset = DistillationSet(inputs, Yamnet(), run.seed)
    loader = balanced_loader(dataset, inputs.weights, job.recipe, run)
    # Whether it goes on or starts anew: the whole network is still to be learned.
    schedule = Schedule(len(loader) * job.recipe.epochs, run.seed, pretrained=False)
    fit(DistillationLearner(network, job.recipe, schedule), loader, None, run)
    path = run.folder / WEIGHTS
    save_pretrained(path, network, Pretraining(_DESCRIPTION, held_out))
    return path
