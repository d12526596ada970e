"""Random changes that leave the label as it is, on waveforms and on mel spectrograms."""

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from app.audio.clips import pad_or_repeat
from training.recipes import Recipe

Array = NDArray[np.float32]

_EQ_KNOTS = 5


def random_crop(
    samples: Array,
    length: int,
    padding: Literal["repeat", "pad"],
    speed_range: float,
    rng: Generator,
) -> Array:
    """Take `length` samples from a random place, at a random playback speed.

    A shorter recording is padded or repeated as the service does, and rotated at random.
    """
    speed = 1.0 + speed_range * rng.uniform(-1, 1)
    needed = length if speed == 1.0 else int(length * speed) + 2
    if samples.size > needed:
        start = int(rng.integers(samples.size - needed + 1))
        samples = samples[start : start + needed]
    samples = change_speed(samples, speed)
    if samples.size < length:
        return np.roll(pad_or_repeat(samples, length, padding), rng.integers(length))
    return samples[:length]


def change_speed(samples: Array, speed: float) -> Array:
    """Play `samples` `speed` times as fast, by linear interpolation; pitch and tempo change."""
    if speed == 1.0 or samples.size < 2:
        return samples
    positions = np.arange(0, samples.size - 1, speed)
    changed: Array = np.interp(positions, np.arange(samples.size), samples).astype(np.float32)
    return changed


def uniform_scale(spread: float, rng: Generator) -> float:
    """Draw a factor between `1 - spread` and `1 + spread`."""
    return float(rng.uniform(1 - spread, 1 + spread)) if spread else 1.0


def mixup(first: Array, second: Array, weight: float) -> Array:
    """Mix two clips so that `first` has the fraction `weight` of the power.

    Mixup (Zhang et al., ICLR 2018) in the power domain: uncorrelated sounds add in power,
    as they do in a street.
    """
    scale = _rms(first) / _rms(second)
    return np.float32(np.sqrt(weight)) * first + np.float32(np.sqrt(1 - weight) * scale) * second


def add_noise(samples: Array, snr_db: float, rng: Generator) -> Array:
    """Add white noise `snr_db` below the clip's mean power."""
    noise = rng.standard_normal(samples.size, dtype=np.float32)
    return samples + noise * np.float32(_rms(samples) * 10 ** (-snr_db / 20))


def reverberate(samples: Array, decay_seconds: float, sample_rate: int, rng: Generator) -> Array:
    """Add the reverberation of a random room: noise that decays by 60 dB in `decay_seconds`.

    The diffuse part is as strong as the direct sound or up to 20 dB weaker (Polack's model of
    late reverberation, 1988). The power stays as it was.
    """
    length = min(samples.size, round(decay_seconds * sample_rate))
    decay = 10 ** (-3 * np.arange(length, dtype=np.float32) / length)
    tail = rng.standard_normal(length, dtype=np.float32) * decay
    tail *= np.float32(10 ** (-rng.uniform(0, 20) / 20) / np.sqrt(np.sum(tail**2)))
    wet: Array = samples + fftconvolve(samples, tail)[: samples.size].astype(np.float32)
    return wet * np.float32(_rms(samples) / _rms(wet))


def vtlp(power: Array, frames: int, scale: float, frequencies: NDArray[np.float64]) -> Array:
    """Stretch a mel power spectrogram in time to `frames`, and in frequency by `scale`.

    The latter is vocal tract length perturbation (Jaitly and Hinton, 2013): what was at a
    frequency comes to `scale` times it.

    Args:
        power: `[mels, any number of frames]`.
        frames: of the result.
        scale: of frequencies; above the last band, the last band goes on.
        frequencies: centres of the bands, Hz, rising.
    """
    bands = np.interp(frequencies / scale, frequencies, np.arange(frequencies.size))
    times = np.linspace(0, power.shape[1] - 1, frames)
    return _interpolate(_interpolate(power, bands, axis=0), times, axis=1)


def _interpolate(values: Array, positions: NDArray[np.float64], *, axis: int) -> Array:
    lower = np.minimum(positions.astype(int), values.shape[axis] - 2)
    fraction = np.expand_dims((positions - lower).astype(np.float32), 1 - axis)
    first: Array = np.take(values, lower, axis=axis)
    second: Array = np.take(values, lower + 1, axis=axis)
    interpolated: Array = first + fraction * (second - first)
    return interpolated


def random_eq(power: Array, max_db: float, rng: Generator) -> Array:
    """Filter a mel power spectrogram by a smooth random curve, as rooms and microphones do."""
    knots = rng.uniform(-max_db, max_db, _EQ_KNOTS)
    bands = np.linspace(0, _EQ_KNOTS - 1, power.shape[0])
    gain = 10 ** (np.interp(bands, np.arange(_EQ_KNOTS), knots) / 10)
    return power * gain.astype(np.float32)[:, None]


def spec_augment(spectrogram: Array, recipe: Recipe, rng: Generator) -> Array:
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
