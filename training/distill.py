"""Pretraining: a ResNet50 learns to predict what a large tagger hears."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from app.audio.windows import WindowName
from training import teacher
from training.data import AugmentedClips, Draw
from training.datasets import CORPORA, load_corpora
from training.fit import DistillationLearner, Run, balanced_loader, fit, total_steps
from training.held_out import Folds, all_standard_folds
from training.network import ResNetAudioClassifier
from training.pretrained import Pretraining, save_pretrained
from training.recipes import Recipe, front_end
from training.runs import claim
from training.splits import hold_out
from training.waveforms import decode_all, readable

WEIGHTS = "pretrained.safetensors"
_DESCRIPTION = "regression of YAMNet's embedding, without labels"


class DistillationSet(Dataset[tuple[Tensor, Tensor]]):
    """Spectrograms `[1, mels, frames]` with the teacher's embedding `[1024]` of the same crop."""

    def __init__(
        self, inputs: AugmentedClips, embeddings: teacher.Embeddings, clip_samples: int
    ) -> None:
        self._inputs = inputs
        self._embeddings = embeddings
        self._clip_samples = clip_samples

    def __len__(self) -> int:
        return len(self._inputs.clips)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        index, seed = draw
        rng = np.random.default_rng(seed)
        samples, start = self._inputs.crop(index, rng)
        target = self._embeddings.between(index, start, start + self._clip_samples)
        return self._inputs.spectrogram(samples, rng), torch.from_numpy(target)


def pretrain(
    data: Path,
    cache: Path,
    window: WindowName,
    held_out: Folds | None,
    run: Run,
    recipe: Recipe,
) -> Path:
    """Regress YAMNet's embedding on every corpus below `data`; labels are not used.

    Args:
        data: the folder of corpora.
        cache: folder for decoded recordings.
        window: analysis window.
        held_out: folds to leave out, with all clips that share a group with them, so that a
            network that starts from the result has never heard what it will be tested on.
            None: what the tasks hold out.
        run: where and how.
        recipe: how long, how fast, how much augmentation.

    Returns:
        the file of weights, for `earshot train --pretrained`.
    """
    parameters = front_end(recipe, window)
    claim(
        run.folder,
        {"data": data, "window": window, "held_out": held_out, "seed": run.seed, **asdict(recipe)},
    )
    clips = load_corpora(data, CORPORA)
    waveforms = decode_all(clips, sample_rate=parameters.sample_rate, cache=cache)
    clips = readable(clips, waveforms)
    split = hold_out(clips, held_out or all_standard_folds(clips, run.seed))
    held_groups = frozenset(clip.group for clip in split.test)
    inputs = AugmentedClips(split.train, waveforms, parameters, recipe)
    dataset = DistillationSet(
        inputs, teacher.embed_all(split.train, waveforms, cache), parameters.clip_samples
    )
    loader = balanced_loader(dataset, inputs.weights, recipe, run)
    torch.manual_seed(run.seed)
    network = ResNetAudioClassifier(teacher.EMBEDDING_SIZE, dropout=recipe.dropout)
    learner = DistillationLearner(network, recipe, total_steps(loader, recipe), run.seed)
    fit(learner, loader, None, run)
    path = run.folder / WEIGHTS
    save_pretrained(path, network, Pretraining(held_out=held_groups, description=_DESCRIPTION))
    return path
