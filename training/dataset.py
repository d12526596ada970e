"""Clips to batches: balanced sampling, augmentation and the service's own front end."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from app.audio.clips import pad_or_repeat
from app.audio.log_mel import (
    LogMelConfig,
    log_mel,
    mel_frequencies,
    mel_power,
    normalise,
    power_to_db,
)
from app.audio.stft import frame_count
from training import augment
from training.corpora.clip import Clip
from training.recipes import Recipe
from training.sampling import balanced_weights
from training.splits import require_labels
from training.teachers.soft_labels import Tutor
from training.waveforms import Waveforms

Draw = tuple[int, int]
"""(index of a clip, seed of everything random about it)"""


class BalancedSampler(Sampler[Draw]):
    """Draws as many clips as there are, with replacement, and a seed for each.

    What epoch `n` draws depends on the seed and `n` alone: a run that was interrupted
    goes on exactly as it would have, whatever the number of workers. Where several devices
    train together, each takes every n-th of the same draws.
    """

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        self._weights = weights
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._weights) // _devices()

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng((self._seed, self._epoch))
        size = len(self._weights)
        indices = rng.choice(size, size=size, p=self._weights)
        seeds = rng.integers(2**63, size=size)
        first = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        draws = zip(indices.tolist(), seeds.tolist(), strict=True)
        return islice(draws, first, len(self) * _devices(), _devices())


def _devices() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


class AugmentedClips:
    """The input side of training: random crops of clips as augmented spectrograms."""

    def __init__(
        self,
        clips: Sequence[Clip],
        waveforms: Waveforms,
        configs: Sequence[LogMelConfig],
        recipe: Recipe,
        unlabelled: Sequence[Clip] = (),
    ) -> None:
        """Nothing is drawn yet.

        Args:
            clips: what is drawn from.
            waveforms: of the clips.
            configs: one is drawn for each crop; they may differ in their window.
            recipe: what is changed at random, and how much.
            unlabelled: more clips, for a tutor's opinion.
        """
        self.clips = [*clips, *unlabelled]
        self.weights = balanced_weights(clips, by_label=recipe.balance_labels)
        if unlabelled:
            share = recipe.unlabelled_share
            others = balanced_weights(unlabelled, by_label=False)
            self.weights = np.concatenate([(1 - share) * self.weights, share * others])
        self._cumulative = np.cumsum(self.weights)
        self._waveforms = waveforms
        self._configs = configs
        self._recipe = recipe
        self._crop_samples = round(recipe.crop_seconds * configs[0].sample_rate)
        self._frames = frame_count(self._crop_samples, configs[0].hop_length)
        self._band_centres = mel_frequencies(configs[0])

    def _crop(self, index: int, length: int, rng: Generator) -> NDArray[np.float32]:
        return augment.random_crop(
            self._waveforms[self.clips[index]],
            length,
            self._configs[0].padding,
            self._recipe.speed_range,
            rng,
        )

    def mixed_crop(
        self, index: int, rng: Generator
    ) -> tuple[NDArray[np.float32], tuple[int, float] | None]:
        """A random crop of clip `index`, mixed at random with one of another clip.

        Crops are shorter or longer than the recipe's by what `spectrogram` will stretch them.

        Returns:
            the samples, and (index of the other clip, share of the power that is clip
            `index`'s), or None where nothing was mixed in.
        """
        recipe = self._recipe
        length = round(self._crop_samples * augment.factor(recipe.stretch_range, rng))
        samples = self._crop(index, length, rng)
        if rng.random() >= recipe.mixup_probability:
            return samples, None
        other = int(np.searchsorted(self._cumulative[:-1], rng.random(), side="right"))
        weight = float(rng.beta(recipe.mixup_alpha, recipe.mixup_alpha))
        return augment.mix(samples, self._crop(other, length, rng), weight), (other, weight)

    def spectrogram(self, samples: NDArray[np.float32], rng: Generator) -> Tensor:
        """The augmented network input `[1, mels, frames]` for a crop."""
        recipe = self._recipe
        config = self._configs[int(rng.integers(len(self._configs)))]
        if rng.random() < recipe.reverb_probability:
            seconds = rng.uniform(*recipe.reverb_seconds)
            samples = augment.reverberate(samples, seconds, config.sample_rate, rng)
        if rng.random() < recipe.noise_probability:
            samples = augment.add_noise(samples, rng.uniform(*recipe.noise_snr_db), rng)
        power = augment.tilt(mel_power(samples, config), recipe.tilt_db, rng)
        if recipe.stretch_range or recipe.warp_range:
            factor = augment.factor(recipe.warp_range, rng)
            power = augment.warp(power, self._frames, factor, self._band_centres)
        db = power_to_db(power, amin=config.amin, top_db=config.top_db)
        return torch.from_numpy(augment.mask(normalise(db), recipe, rng))[None]


class DrawnExamples(Dataset[tuple[Tensor, Tensor]], ABC):
    """Spectrograms `[1, mels, frames]` with targets; index it with a `Draw`.

    A batch is made on as many threads as torch computes on: NumPy's transforms release the
    interpreter's lock, and the network waits meanwhile.
    """

    @abstractmethod
    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """One example."""

    def __getitems__(self, draws: Sequence[Draw]) -> list[tuple[Tensor, Tensor]]:
        """One batch of examples."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, draws))


class _SoftLabels(DrawnExamples):
    """Spectrograms with soft labels `[classes]`; zeros where a clip's label is none of them."""

    def __init__(self, inputs: AugmentedClips, labels: Sequence[str]) -> None:
        self._inputs = inputs
        self._targets = np.array(
            [[clip.label == label for label in labels] for clip in inputs.clips], np.float32
        )

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        index, seed = draw
        rng = np.random.default_rng(seed)
        samples, mixed = self._inputs.mixed_crop(index, rng)
        target: NDArray[np.float32] = self._targets[index]
        if mixed is not None:
            other, weight = mixed
            target = np.float32(weight) * target + np.float32(1 - weight) * self._targets[other]
        target = self._judge(target, samples, index)
        return self._inputs.spectrogram(samples, rng), torch.from_numpy(target)

    @abstractmethod
    def _judge(
        self, target: NDArray[np.float32], samples: NDArray[np.float32], index: int
    ) -> NDArray[np.float32]:
        """What is learned of the crop `samples` of clip `index`, labelled `target`."""


class TrainingSet(_SoftLabels):
    """Spectrograms with the labels of their clips."""

    def __init__(self, inputs: AugmentedClips, labels: Sequence[str]) -> None:
        """Raises CorpusError, naming the file, for a clip whose label is none of `labels`."""
        require_labels(inputs.clips, labels)
        super().__init__(inputs, labels)

    def _judge(
        self, target: NDArray[np.float32], _samples: NDArray[np.float32], _index: int
    ) -> NDArray[np.float32]:
        return target


class TutoredSet(_SoftLabels):
    """Soft labels between the label and a tutor's opinion.

    Where a clip's label is none of the task's, the opinion stands for it alone.
    """

    def __init__(
        self, inputs: AugmentedClips, labels: Sequence[str], tutor: Tutor, share: float
    ) -> None:
        """The tutor hears the very crop that the network sees.

        Args:
            inputs: the clips.
            labels: in the order of the targets.
            tutor: of the same labels.
            share: of its opinion in the target of a labelled clip.
        """
        super().__init__(inputs, labels)
        self._tutor = tutor
        self._share = share

    def _judge(
        self, target: NDArray[np.float32], samples: NDArray[np.float32], index: int
    ) -> NDArray[np.float32]:
        opinion = self._tutor.opinion(samples, self._inputs.clips[index].group)
        labelled = (1 - self._share) * target
        both: NDArray[np.float32] = labelled + (1 - labelled.sum()) * opinion
        return both.astype(np.float32, copy=False)


class Spectrograms(Dataset[Tensor]):
    """The first clip of each recording as it is served, `[1, mels, frames]`."""

    def __init__(self, clips: Sequence[Clip], waveforms: Waveforms, config: LogMelConfig) -> None:
        self._clips = clips
        self._waveforms = waveforms
        self._config = config

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Tensor:
        length = self._config.clip_samples
        waveform = self._waveforms[self._clips[index]]
        samples = pad_or_repeat(waveform, length, self._config.padding)[:length]
        return torch.from_numpy(log_mel(samples, self._config))[None]


class FirstClips(Dataset[tuple[Tensor, int]]):
    """The first clip of each recording as it is served, with its label: to watch a run by."""

    def __init__(
        self,
        clips: Sequence[Clip],
        waveforms: Waveforms,
        config: LogMelConfig,
        labels: Sequence[str],
    ) -> None:
        self._spectrograms = Spectrograms(clips, waveforms, config)
        self._labels = [labels.index(clip.label) for clip in clips]

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._spectrograms[index], self._labels[index]
