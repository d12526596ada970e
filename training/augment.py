"""Random changes that leave the label as it is, on waveforms and on mel spectrograms."""

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from app.audio.clips import pad_or_repeat
from training.recipes import Recipe

Array = NDArray[np.float32]

_TILT_KNOTS = 5


def random_crop(
    samples: Array,
    length: int,
    padding: Literal["repeat", "pad"],
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
        return np.roll(pad_or_repeat(samples, length, padding), rng.integers(length))
    return samples[:length]


def factor(reach: float, rng: Generator) -> float:
    """A random factor between `1 - reach` and `1 + reach`."""
    return float(rng.uniform(1 - reach, 1 + reach)) if reach else 1.0


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


def reverberate(samples: Array, decay_seconds: float, sample_rate: int, rng: Generator) -> Array:
    """Let a clip sound in a made-up room: noise that decays by 60 dB in `decay_seconds`.

    The diffuse part is as strong as the direct sound or up to 20 dB weaker (Polack's model of
    late reverberation, 1988). The power stays as it was.
    """
    length = min(samples.size, round(decay_seconds * sample_rate))
    decay = 10 ** (-3 * np.arange(length, dtype=np.float32) / length)
    tail = rng.standard_normal(length, dtype=np.float32) * decay
    tail *= np.float32(10 ** (-rng.uniform(0, 20) / 20) / np.sqrt(np.sum(tail**2)))
    wet: Array = samples + fftconvolve(samples, tail)[: samples.size].astype(np.float32)
    return wet * np.float32(_rms(samples) / _rms(wet))


def warp(power: Array, frames: int, factor: float, centres: NDArray[np.float64]) -> Array:
    """Stretch a mel power spectrogram in time to `frames`, and in frequency by `factor`.

    The second is vocal tract length perturbation (Jaitly and Hinton, 2013): what was at a
    frequency comes to `factor` times it.

    Args:
        power: `[mels, any number of frames]`.
        frames: how many there shall be.
        factor: of frequencies; above the last band, the last band goes on.
        centres: of the bands, Hz, rising.
    """
    bands = np.interp(centres / factor, centres, np.arange(centres.size))
    times = np.linspace(0, power.shape[1] - 1, frames)
    return _between(_between(power, bands, axis=0), times, axis=1)


def _between(values: Array, places: NDArray[np.float64], *, axis: int) -> Array:
    lower = np.minimum(places.astype(int), values.shape[axis] - 2)
    share = np.expand_dims((places - lower).astype(np.float32), 1 - axis)
    first: Array = np.take(values, lower, axis=axis)
    second: Array = np.take(values, lower + 1, axis=axis)
    between: Array = first + share * (second - first)
    return between


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
