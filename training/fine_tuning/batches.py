"""Batches of labelled speech: balanced draws, corruptions and augmentation."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from app.audio.log_mel import LogMelConfig
from app.audio.network_inputs import InputConfig
from training.augment import change_speed, uniform_scale
from training.corpora import LabeledRecording
from training.corruptions.augmentation import Backgrounds, corrupt_for_training
from training.fine_tuning.spectrograms import (
    SpectrogramAugmentation,
    augment_spectrograms,
    mel_power_batch,
)

Array = NDArray[np.float32]
FULL_SCALE = 32_767

ABSENT = -2.0
"""added to the logits of labels that a corpus lacks"""
CORPUS_WEIGHTS: Mapping[str, float] = {
    "ravdess": 2.0,
    "nemo": 1.2,
    "emodb": 1.2,
    "urdu": 1.2,
    "banglaser": 0.8,
    "tess": 0.7,
    "cremad": 0.7,
    "turev": 0.6,
    "emotiontts": 0.6,
}
"""Two speakers, single words and two labels teach less than their numbers say."""


@dataclass(frozen=True)
class BatchRecipe:
    """The recordings that are drawn, and how they are augmented."""

    batch_size: int = 32
    full_length_probability: float = 0.3
    """of a batch of spectrograms that is padded to whole clips; others are as long as their
    longest recording"""
    corpus_weights: Mapping[str, float] = field(default_factory=dict)
    """factor on how often a corpus is drawn, 1 where none is given"""
    speed_probability: float = 0.4
    speed_range: float = 0.08
    """playback speed is drawn from 1 -+ this; pitch, formants and tempo move with it"""
    corruption_probability: float = 0.6
    """of one of `TRAINING_EFFECTS`: all kinds equally often, and all strengths of a kind"""
    gain_db: float = 6.0
    """standard deviation"""
    spectrograms: SpectrogramAugmentation = field(default_factory=SpectrogramAugmentation)


def draw_weights(
    recordings: Sequence[LabeledRecording], factors: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return the probability of each recording to be drawn; they add up to 1.

    A corpus is drawn by the square root of its size, times its factor; within a corpus all its
    labels are drawn equally often; within a label of a corpus, a speaker by the square root of
    the number of recordings.
    """
    corpora = Counter(each.corpus for each in recordings)
    speakers = Counter((each.group, each.label) for each in recordings)
    weights = np.array([speakers[each.group, each.label] ** -0.5 for each in recordings])
    cells = [(each.corpus, each.label) for each in recordings]
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for cell, weight in zip(cells, weights.tolist(), strict=True):
        sums[cell] += weight
    labels = Counter(corpus for corpus, _ in sums)
    shares = [
        corpora[corpus] ** 0.5 * factors.get(corpus, 1.0) / labels[corpus] / sums[corpus, label]
        for corpus, label in cells
    ]
    weights *= np.array(shares)
    weights /= weights.sum()
    return weights


def label_offsets(
    recordings: Sequence[LabeledRecording], labels: Sequence[str], absent: float
) -> dict[str, Array]:
    """Return offsets to each corpus' logits in training: `absent` for labels that it lacks.

    Logit adjustment (Menon et al., ICLR 2021): a network that is told that a corpus lacks a label
    need not learn to tell the corpus by its microphone.
    """
    present: dict[str, set[str]] = {}
    for each in recordings:
        present.setdefault(each.corpus, set()).add(each.label)
    return {
        corpus: np.array([0.0 if label in here else absent for label in labels], np.float32)
        for corpus, here in present.items()
    }


class SpeechBatches:
    """Batches of augmented recordings. Batch `n` depends on the seed and `n` alone."""

    _BLOCK = 8
    """batches whose recordings are drawn together, then sorted by length"""
    _LENGTH_JITTER = 3_000
    _LENGTH_STEP = 3_200

    def __init__(
        self,
        recordings: Sequence[LabeledRecording],
        samples: Sequence[NDArray[np.int16]],
        config: InputConfig,
        recipe: BatchRecipe,
        backgrounds: Backgrounds,
        *,
        seed: int,
    ) -> None:
        """Draw nothing yet.

        Args:
            recordings: to draw from.
            samples: of each recording, mono, 16 bits, at the sample rate of `config`.
            config: of the network's input.
            recipe: draws and augmentation.
            backgrounds: for corruptions, none of them held out; see `load_training_backgrounds`.
            seed: of everything random.
        """
        self._groups = [each.group for each in recordings]
        self._samples = samples
        self._config = config
        self._recipe = recipe
        self._backgrounds = backgrounds
        self._seed = seed
        self._weights = draw_weights(recordings, recipe.corpus_weights)
        self._lengths = np.array([len(each) for each in samples])

    def batches(self, first: int, stop: int) -> Iterator[tuple[Tensor, list[int]]]:
        """Yield the inputs of batches `first` to `stop`, and the indices of their recordings.

        Inputs are log-mel spectrograms in dB, `[batch, 1, mels, frames]`, with no more frames
        than a clip; or waveforms as long as a clip, `[batch, samples]`.
        """
        for block in range(first // self._BLOCK, -(-stop // self._BLOCK)):
            rng = np.random.default_rng((self._seed, block))
            size = self._recipe.batch_size
            drawn = rng.choice(len(self._samples), size * self._BLOCK, p=self._weights)
            jitter = rng.integers(self._LENGTH_JITTER, size=drawn.size)
            drawn = drawn[np.argsort(self._lengths[drawn] + jitter)]
            for place, position in enumerate(rng.permutation(self._BLOCK)):
                indices = drawn[position * size : (position + 1) * size].tolist()
                inner = np.random.default_rng((self._seed, block, place))
                if first <= block * self._BLOCK + place < stop:
                    yield self._batch(indices, inner), indices

    def _batch(self, indices: Sequence[int], rng: Generator) -> Tensor:
        config = self._config
        augmented = [self.augment(index, rng) for index in indices]
        length = self._length(max(samples.size for samples in augmented), rng)
        padded = torch.zeros(len(augmented), length)
        for row, samples in zip(padded, augmented, strict=True):
            row[: min(length, samples.size)] = torch.from_numpy(samples[:length])
        if not isinstance(config, LogMelConfig):
            return padded
        frames = [1 + min(length, samples.size) // config.hop_length for samples in augmented]
        power = mel_power_batch(padded, config)
        return augment_spectrograms(power, frames, config, self._recipe.spectrograms, rng)

    def _length(self, longest: int, rng: Generator) -> int:
        """Return the samples that a batch is padded to, or cut off at."""
        clip = self._config.clip_samples
        whole = not isinstance(self._config, LogMelConfig)
        if whole or rng.random() < self._recipe.full_length_probability:
            return clip
        return min(clip, -(-longest // self._LENGTH_STEP) * self._LENGTH_STEP)

    def augment(self, index: int, rng: Generator) -> Array:
        """Return recording `index` as a batch would have it, no longer than a clip."""
        recipe, longest = self._recipe, self._config.clip_samples
        samples = self._samples[index].astype(np.float32) / np.float32(FULL_SCALE)
        if rng.random() < recipe.speed_probability:
            samples = change_speed(samples, uniform_scale(recipe.speed_range, rng))
        if samples.size > longest:
            start = int(rng.integers(samples.size - longest + 1))
            samples = samples[start : start + longest]
        if rng.random() < recipe.corruption_probability:
            samples = corrupt_for_training(
                samples, self._config.sample_rate, self._backgrounds, self._groups[index], rng
            )
        return samples * np.float32(10 ** (rng.normal(0, recipe.gain_db) / 20))
