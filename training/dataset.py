"""Datasets of PyTorch: recordings in, the input of the network and its targets out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from app.audio.clips import pad_or_repeat
from app.audio.log_mel import (
    LogMelConfig,
    mel_frequencies,
    mel_power,
    normalise,
    power_to_db,
)
from app.audio.network_inputs import InputConfig, network_input
from app.audio.stft import frame_count
from training import augment
from training.corpora import LabeledRecording
from training.corruptions.augmentation import Backgrounds, corrupt_for_training
from training.recipes import Recipe
from training.sampling import SampleSpec, balanced_weights
from training.splits import require_labels
from training.teachers.soft_labels import SoftLabelTeacher
from training.waveforms import Waveforms


class AugmentedClips:
    """Random crops of recordings as augmented spectrograms."""

    def __init__(
        self,
        recordings: Sequence[LabeledRecording],
        waveforms: Waveforms,
        configs: Sequence[LogMelConfig],
        recipe: Recipe,
        unlabelled: Sequence[LabeledRecording] = (),
        backgrounds: Backgrounds | None = None,
    ) -> None:
        """Draw nothing yet.

        Args:
            recordings: to draw from.
            waveforms: of all recordings.
            configs: one is drawn for each crop; they may differ in their window.
            recipe: which augmentations are applied, and how strongly.
            unlabelled: more recordings, for a teacher to label.
            backgrounds: for corruptions, none of them held out; see `load_training_backgrounds`.
        """
        self.recordings = [*recordings, *unlabelled]
        self.weights = balanced_weights(recordings, by_label=recipe.balance_labels)
        if unlabelled:
            fraction = recipe.unlabelled_fraction
            others = balanced_weights(unlabelled, by_label=False)
            self.weights = np.concatenate([(1 - fraction) * self.weights, fraction * others])
        self._cumulative = np.cumsum(self.weights)
        self._waveforms = waveforms
        self._configs = configs
        self._recipe = recipe
        self._backgrounds = backgrounds or {}
        self._crop_samples = round(recipe.crop_seconds * configs[0].sample_rate)
        self._frames = frame_count(self._crop_samples, configs[0].hop_length)

    def _crop(self, index: int, length: int, rng: Generator) -> NDArray[np.float32]:
        return augment.random_crop(
            self._waveforms[self.recordings[index]],
            length,
            self._configs[0].padding,
            self._recipe.speed_range,
            rng,
        )

    def mixed_crop(
        self, index: int, rng: Generator
    ) -> tuple[NDArray[np.float32], tuple[int, float] | None]:
        """Crop recording `index` at random, and mix it at random with a crop of another one.

        What comes out is corrupted at random, as a microphone or a line would. Crops are shorter
        or longer than the recipe's by what `spectrogram` will stretch them.

        Returns:
            the samples, and (index of the other recording, fraction of the power that is of
            recording `index`), or None where nothing was mixed in.
        """
        recipe = self._recipe
        length = round(self._crop_samples * augment.uniform_scale(recipe.stretch_range, rng))
        samples = self._crop(index, length, rng)
        mixed = None
        if rng.random() < recipe.mixup_probability:
            other = int(np.searchsorted(self._cumulative[:-1], rng.random(), side="right"))
            weight = float(rng.beta(recipe.mixup_alpha, recipe.mixup_alpha))
            samples, mixed = (
                augment.mixup(samples, self._crop(other, length, rng), weight),
                (other, weight),
            )
        if recipe.corruption_probability and rng.random() < recipe.corruption_probability:
            rate, group = self._configs[0].sample_rate, self.recordings[index].group
            samples = corrupt_for_training(samples, rate, self._backgrounds, group, rng)
            samples = pad_or_repeat(samples, length, self._configs[0].padding)[:length]
        return samples, mixed

    def spectrogram(self, samples: NDArray[np.float32], rng: Generator) -> Tensor:
        """Return the augmented network input `[1, mels, frames]` of a crop."""
        recipe = self._recipe
        config = self._configs[int(rng.integers(len(self._configs)))]
        if rng.random() < recipe.reverb_probability:
            seconds = rng.uniform(*recipe.reverb_seconds)
            samples = augment.reverberate(samples, seconds, config.sample_rate, rng)
        if rng.random() < recipe.noise_probability:
            samples = augment.add_noise(samples, rng.uniform(*recipe.noise_snr_db), rng)
        return augment_power(mel_power(samples, config), self._frames, config, recipe, rng)


def augment_power(
    power: NDArray[np.float32], frames: int, config: LogMelConfig, recipe: Recipe, rng: Generator
) -> Tensor:
    """Filter, warp and mask a mel power spectrogram at random.

    Args:
        power: `[n_mels, any number of frames]`.
        frames: of the result.
        config: of the network's input.
        recipe: which augmentations are applied, and how strongly.
        rng: draws everything.

    Returns:
        the network's input `[1, n_mels, frames]`.
    """
    power = augment.random_eq(power, recipe.random_eq_db, rng)
    if recipe.stretch_range or recipe.vtlp_range:
        scale = augment.uniform_scale(recipe.vtlp_range, rng)
        power = augment.vtlp(power, frames, scale, mel_frequencies(config))
    db = power_to_db(power, amin=config.amin, top_db=config.top_db)
    return torch.from_numpy(augment.spec_augment(normalise(db), recipe, rng))[None]


class SampledDataset(Dataset[tuple[Tensor, Tensor]], ABC):
    """Spectrograms `[1, mels, frames]` with targets, indexed by `SampleSpec`.

    A batch is made on as many threads as torch computes on: NumPy's transforms release the
    interpreter's lock, and the network waits meanwhile.
    """

    @abstractmethod
    def __getitem__(self, spec: SampleSpec) -> tuple[Tensor, Tensor]:
        """Make one sample."""

    def __getitems__(self, specs: Sequence[SampleSpec]) -> list[tuple[Tensor, Tensor]]:
        """Make one batch of samples."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, specs))


class AugmentedDataset(SampledDataset):
    """Augmented spectrograms with the labels of their recordings, mixed where they are mixed."""

    def __init__(self, inputs: AugmentedClips, labels: Sequence[str]) -> None:
        """Check the labels.

        Args:
            inputs: recordings, all of them labelled.
            labels: in the order of the targets.

        Raises CorpusError, naming the file, for a recording whose label is none of `labels`.
        """
        require_labels(inputs.recordings, labels)
        self._inputs = inputs
        self._targets = one_hot_labels(inputs.recordings, labels)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, spec: SampleSpec) -> tuple[Tensor, Tensor]:
        index, seed = spec
        rng = np.random.default_rng(seed)
        samples, mixed = self._inputs.mixed_crop(index, rng)
        target = mix_targets(self._targets, index, mixed)
        return self._inputs.spectrogram(samples, rng), torch.from_numpy(target)


class DistilledDataset(SampledDataset):
    """Augmented spectrograms with targets between the label and a teacher's prediction.

    Knowledge distillation (Hinton, Vinyals and Dean, 2015). Where a recording's label is none of
    the task's, the prediction stands for it alone.
    """

    def __init__(
        self,
        inputs: AugmentedClips,
        labels: Sequence[str],
        teacher: SoftLabelTeacher,
        distillation_weight: float,
    ) -> None:
        """Predict nothing yet.

        Args:
            inputs: recordings, labelled or not.
            labels: in the order of the targets.
            teacher: predicts the same labels, from the very crop that the network sees.
            distillation_weight: of its prediction in the target of a labelled recording, 0 to 1.
        """
        self._inputs = inputs
        self._targets = one_hot_labels(inputs.recordings, labels)
        self._teacher = teacher
        self._weight = distillation_weight

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, spec: SampleSpec) -> tuple[Tensor, Tensor]:
        index, seed = spec
        rng = np.random.default_rng(seed)
        samples, mixed = self._inputs.mixed_crop(index, rng)
        group = self._inputs.recordings[index].group
        labelled = (1 - self._weight) * mix_targets(self._targets, index, mixed)
        target = labelled + (1 - labelled.sum()) * self._teacher.predict_proba(samples, group)
        return self._inputs.spectrogram(samples, rng), torch.from_numpy(target.astype(np.float32))


def one_hot_labels(
    recordings: Sequence[LabeledRecording], labels: Sequence[str]
) -> NDArray[np.float32]:
    """Return targets `[recordings, labels]`; all 0 where a label is none of `labels`."""
    return np.array(
        [[recording.label == label for label in labels] for recording in recordings], np.float32
    )


def mix_targets(
    targets: NDArray[np.float32], index: int, mixed: tuple[int, float] | None
) -> NDArray[np.float32]:
    """Return the target `[labels]` of what `AugmentedClips.mixed_crop` returned for `index`."""
    target: NDArray[np.float32] = targets[index]
    if mixed is None:
        return target
    other, weight = mixed
    both: NDArray[np.float32] = (
        np.float32(weight) * target + np.float32(1 - weight) * targets[other]
    )
    return both


class FirstClipDataset(Dataset[Tensor]):
    """The first clip of each recording as the network reads it; see `network_input`."""

    def __init__(
        self,
        recordings: Sequence[LabeledRecording],
        waveforms: Waveforms,
        config: InputConfig,
    ) -> None:
        self._recordings = recordings
        self._waveforms = waveforms
        self._config = config

    def __len__(self) -> int:
        return len(self._recordings)

    def __getitem__(self, index: int) -> Tensor:
        return first_clip(self._waveforms[self._recordings[index]], self._config)


def draw_clips(clips: FirstClipDataset, count: int, seed: int) -> NDArray[np.float32]:
    """Return the inputs of `count` recordings drawn at random, or of all where there are fewer."""
    order = np.random.default_rng(seed).permutation(len(clips))
    return np.stack([clips[int(index)].numpy() for index in order[:count]])


class EvalDataset(Dataset[tuple[Tensor, int]]):
    """The first clip of each recording as the network reads it, with its label's index."""

    def __init__(
        self,
        recordings: Sequence[LabeledRecording],
        waveforms: Waveforms,
        config: InputConfig,
        labels: Sequence[str],
    ) -> None:
        self._clips = FirstClipDataset(recordings, waveforms, config)
        self._targets = [labels.index(recording.label) for recording in recordings]

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._clips[index], self._targets[index]


def first_clip(samples: NDArray[np.float32], config: InputConfig) -> Tensor:
    """Return what a network reads of the first clip of a recording; see `network_input`."""
    length = config.clip_samples
    clip = pad_or_repeat(samples, length, config.padding)[:length]
    return torch.from_numpy(network_input(clip, config))
