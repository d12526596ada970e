"""Random changes that leave the label as it is, on waveforms and on mel spectrograms."""

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.audio.clips import fill
from training.recipes import Recipe

Array = NDArray[np.float32]

_TILT_KNOTS = 5


def random_crop(
    samples: Array,
    length: int,
    how: Literal["repeat", "pad"],
    speed_range: float,
    rng: Generator,
) -> Array:
    """Take `length` samples from a random place, at a random playback speed.

    A shorter recording is filled as the front end fills it and turned by a random offset.
    """
    speed = 1.0 + speed_range * rng.uniform(-1, 1)
    needed = length if speed == 1.0 else int(length * speed) + 2
    if samples.size > needed:
        start = int(rng.integers(samples.size - needed + 1))
        samples = samples[start : start + needed]
    if speed != 1.0 and samples.size > 1:
        positions = np.arange(0, samples.size - 1, speed)
        samples = np.interp(positions, np.arange(samples.size), samples).astype(np.float32)
    if samples.size < length:
        return np.roll(fill(samples, length, how), rng.integers(length))
    return samples[:length]


def mix(first: Array, second: Array, weight: float) -> Array:
    """Mix two clips so that `first` has the share `weight` of the power.

    Mixup (Zhang et al., ICLR 2018) in the power domain: uncorrelated sounds add in power,
    as they do in a street.
    """
    scale = _rms(first) / _rms(second)
    return np.float32(np.sqrt(weight)) * first + np.float32(np.sqrt(1 - weight) * scale) * second


def add_noise(samples: Array, snr_db: float, rng: Generator) -> Array:
    """Add white noise `snr_db` below the clip's mean power."""
    noise = rng.standard_normal(samples.size, dtype=np.float32)
    return samples + noise * np.float32(_rms(samples) * 10 ** (-snr_db / 20))


def tilt(power: Array, largest_db: float, rng: Generator) -> Array:
    """Filter a mel power spectrogram by a smooth random curve, as rooms and microphones do."""
    knots = rng.uniform(-largest_db, largest_db, _TILT_KNOTS)
    bands = np.linspace(0, _TILT_KNOTS - 1, power.shape[0])
    gain = 10 ** (np.interp(bands, np.arange(_TILT_KNOTS), knots) / 10)
    return power * gain.astype(np.float32)[:, None]


def mask(spectrogram: Array, recipe: Recipe, rng: Generator) -> Array:
    """Blank two stripes of bands and two of frames with the mean, which is 0.

    SpecAugment: Park et al., Interspeech 2019.
    """
    masked = spectrogram.copy()
    bands, frames = masked.shape
    for _ in range(2):
        width = int(rng.integers(min(recipe.frequency_mask, bands) + 1))
        start = int(rng.integers(bands - width + 1))
        masked[start : start + width] = 0
        width = int(rng.integers(min(recipe.time_mask, frames) + 1))
        start = int(rng.integers(frames - width + 1))
        masked[:, start : start + width] = 0
    return masked


def _rms(samples: Array) -> float:
    return float(np.sqrt(np.mean(samples**2))) + 1e-9
