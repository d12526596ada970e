"""Log-mel spectrograms of whole batches, and the augmentation of mel power."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.random import Generator
from torch import Tensor

from app.audio.log_mel import LogMelConfig
from app.audio.mel import mel_filterbank
from training.augment import random_eq, uniform_scale

_MIN_STRETCHED_FRAMES = 8


def whisper_log_mel(clip_seconds: float) -> LogMelConfig:
    """Return Whisper's input (Radford et al., ICML 2023) in dB, which the network itself scales."""
    return LogMelConfig(
        sample_rate=16_000,
        clip_seconds=clip_seconds,
        clip_hop_seconds=clip_seconds / 2,
        padding="pad",
        n_fft=400,
        hop_length=160,
        window="hann",
        n_mels=80,
        fmin=0.0,
        fmax=8_000.0,
        amin=1e-10,
        top_db=80.0,
        normalisation="none",
    )


@dataclass(frozen=True)
class SpectrogramAugmentation:
    """Probability and range of each augmentation of a mel spectrogram."""

    stretch_probability: float = 0.5
    stretch_range: float = 0.1
    """tempo is drawn from 1 -+ this"""
    warp_probability: float = 0.5
    warp_range: float = 0.07
    """mel bands are drawn from 1 -+ this (vocal tract length: Jaitly and Hinton, 2013)"""
    random_eq_probability: float = 0.5
    random_eq_db: float = 6.0
    """largest gain or loss of a smooth random filter over the mel bands"""
    mask_probability: float = 0.7
    frequency_mask: int = 12
    """widest mask in mel bands; two are drawn (SpecAugment: Park et al., Interspeech 2019)"""
    time_mask: int = 25
    """widest mask in frames, and at most a fifth of the recording; two are drawn"""


def mel_power_batch(samples: Tensor, config: LogMelConfig) -> Tensor:
    """Compute mel power `[batch, n_mels, frames]` of `[batch, samples]`.

    The same as `app.audio.log_mel.mel_power`, to rounding. The window must be `hann`.
    """
    spectrum = torch.stft(
        samples,
        config.n_fft,
        config.hop_length,
        window=torch.hann_window(config.n_fft),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    filters = mel_filterbank(
        config.sample_rate, config.n_fft, config.n_mels, config.fmin, config.fmax
    )
    power: Tensor = torch.from_numpy(filters.copy()) @ (spectrum.real**2 + spectrum.imag**2)
    return power


def power_to_db_batch(power: Tensor, config: LogMelConfig) -> Tensor:
    """Return what `app.audio.log_mel.power_to_db` does, of each `[n_mels, frames]` of a batch."""
    db = 10 * power.clamp_min(config.amin).log10()
    return torch.maximum(db, db.amax(dim=(1, 2), keepdim=True) - config.top_db)


def log_mel_batch(samples: Tensor, config: LogMelConfig) -> Tensor:
    """Compute log-mel spectrograms in dB, `[batch, 1, n_mels, frames]`, of `[batch, samples]`."""
    return power_to_db_batch(mel_power_batch(samples, config), config)[:, None]


def augment_spectrograms(
    power: Tensor,
    frames: Sequence[int],
    config: LogMelConfig,
    augmentation: SpectrogramAugmentation,
    rng: Generator,
) -> Tensor:
    """Warp, stretch, filter and mask mel power spectrograms at random.

    Args:
        power: `[batch, mels, frames]`.
        frames: of each that hold the recording; zeros follow.
        config: gives `amin` and `top_db`.
        augmentation: probabilities and ranges.
        rng: draws everything.

    Returns:
        dB, `[batch, 1, mels, frames]`.
    """
    augmented = []
    for spectrogram, length in zip(power, frames, strict=True):
        changed = spectrogram
        if rng.random() < augmentation.warp_probability:
            changed = warp_bands(changed, uniform_scale(augmentation.warp_range, rng))
        if rng.random() < augmentation.stretch_probability and length > _MIN_STRETCHED_FRAMES:
            changed = stretch_frames(
                changed, length, uniform_scale(augmentation.stretch_range, rng)
            )
        if rng.random() < augmentation.random_eq_probability:
            filtered = random_eq(changed.numpy(), augmentation.random_eq_db, rng)
            changed = torch.from_numpy(filtered)
        augmented.append(changed)
    db = power_to_db_batch(torch.stack(augmented), config)
    for spectrogram, length in zip(db, frames, strict=True):
        if rng.random() < augmentation.mask_probability:
            mask_with_mean(spectrogram, length, augmentation, rng)
    return db[:, None]


def warp_bands(power: Tensor, scale: float) -> Tensor:
    """Move band `b` of `[mels, frames]` to band `scale * b`."""
    bands = len(power)
    return _interpolate(power.T, torch.arange(bands) / scale, bands).T


def stretch_frames(power: Tensor, length: int, speed: float) -> Tensor:
    """Play the first `length` frames of `[mels, frames]` `speed` times as fast; zeros follow."""
    played = min(power.shape[1], int(length / speed))
    changed = torch.zeros_like(power)
    changed[:, :played] = _interpolate(power, torch.arange(played) * speed, length)
    return changed


def mask_with_mean(
    db: Tensor, length: int, augmentation: SpectrogramAugmentation, rng: Generator
) -> None:
    """Blank, in place, two stripes of bands and two of the first `length` frames with the mean."""
    mean = float(db.mean())
    bands = len(db)
    for _ in range(2):
        width = int(rng.integers(min(augmentation.frequency_mask, bands) + 1))
        start = int(rng.integers(bands - width + 1))
        db[start : start + width] = mean
        width = int(rng.integers(min(augmentation.time_mask, length // 5) + 1))
        start = int(rng.integers(max(1, length - width)))
        db[:, start : start + width] = mean


def _interpolate(power: Tensor, positions: Tensor, length: int) -> Tensor:
    """Return `[rows, columns]` at fractional columns below `length`, linearly interpolated."""
    positions = positions.clamp(max=length - 1.001)
    lower = positions.long()
    fraction = positions - lower
    return power[:, lower] * (1 - fraction) + power[:, lower + 1] * fraction
