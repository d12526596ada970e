"""Spectral features of a whole recording, as librosa defines them (McFee et al., SciPy 2015).

They are computed from sound at `SAMPLE_RATE` and its `power_spectrogram` with `N_FFT` and
`HOP_LENGTH` of `app.rendering.spectrogram`.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft

from app.audio.log_mel import power_to_db
from app.audio.mel import mel_filterbank
from app.audio.stft import analysis_window, power_spectrogram
from app.rendering.spectrogram import HOP_LENGTH, N_FFT, SAMPLE_RATE
from earshot.schemas import SpectralFeatures

MFCC_COUNT = 13

_MEL_BANDS = 128
_FLOOR = 1e-10
_TOP_DB = 80.0
# Frames this far below the loudest are pauses: their spectrum is that of the noise.
_QUIETEST_FRAME = 10 ** (-60 / 10)
_ROLLOFF = 0.85
_OCTAVES_HZ = (0, 200, 400, 800, 1600, 3200, 6400, 12_800)
_EXTREMES = 0.02
_TEMPO_SECONDS = 8.0
_FASTEST_BPM = 320.0
_LIKELIEST_BPM = 120.0


@dataclass(frozen=True)
class SpectralShape:
    """Means over the frames of a recording that are less than 60 dB below its loudest."""

    centroid: float
    """mean frequency, weighted by magnitude, Hz"""
    bandwidth: float
    """standard deviation around the centroid, weighted by magnitude, Hz"""
    rolloff: float
    """frequency below which 85 % of the magnitude lies, Hz"""
    flatness: float
    """geometric over arithmetic mean of the power, from 0 (a tone) to 1; white noise has
    e^-0.577 = 0.56"""
    contrast: float
    """peaks over valleys, mean of the band up to 200 Hz and the octaves above, dB (Jiang et
    al., ICME 2002)"""


def measure_features(samples: NDArray[np.float32]) -> SpectralFeatures:
    """Measure a recording through the Hann window, rounded.

    Args:
        samples: mono at `SAMPLE_RATE`, shape `[samples]`, not silent.
    """
    power = power_spectrogram(samples, n_fft=N_FFT, hop_length=HOP_LENGTH, window="hann")
    shape = spectral_shape(power)
    mel_db = mel_spectrogram_db(power)
    return SpectralFeatures(
        centroid=round(shape.centroid, 1),
        bandwidth=round(shape.bandwidth, 1),
        rolloff=round(shape.rolloff, 1),
        flatness=round(shape.flatness, 5),
        contrast=round(shape.contrast, 2),
        zero_crossing_rate=round(zero_crossing_rate(samples), 1),
        tempo=round(tempo(mel_db), 1),
        mfcc=[round(float(each), 2) for each in mfcc(mel_db)],
    )


def spectral_shape(power: NDArray[np.float32]) -> SpectralShape:
    """Measure the shape of a spectrum, from power of shape `[1025, frames]` that is not all 0."""
    energy = power.sum(axis=0)
    power = power[:, energy > energy.max() * _QUIETEST_FRAME]
    magnitude = np.sqrt(power)
    share = magnitude / magnitude.sum(axis=0)
    frequencies = np.arange(len(power)) * SAMPLE_RATE / N_FFT
    centroid = frequencies @ share
    variance = (share * (frequencies[:, None] - centroid) ** 2).sum(axis=0)
    bins_below = (np.cumsum(share, axis=0) < _ROLLOFF).sum(axis=0)
    audible = np.maximum(power, _FLOOR)
    flatness = np.exp(np.log(audible).mean(axis=0)) / audible.mean(axis=0)
    return SpectralShape(
        centroid=float(centroid.mean()),
        bandwidth=float(np.sqrt(variance).mean()),
        rolloff=float(frequencies[bins_below].mean()),
        flatness=float(flatness.mean()),
        contrast=_contrast(magnitude, frequencies),
    )


def _contrast(magnitude: NDArray[np.float32], frequencies: NDArray[np.float64]) -> float:
    """Return the strongest 2 % of a band's bins over its weakest 2 %, mean over all bands, dB.

    librosa's bands begin with the last bin below their lower edge, and its 2 % count one bin more.
    """
    edges = np.searchsorted(frequencies, _OCTAVES_HZ)
    edges[1:-1] -= 1
    contrasts = []
    for first, end in pairwise(edges):
        ordered = np.sort(magnitude[first:end], axis=0)
        count = max(1, round(_EXTREMES * (len(ordered) + 1)))
        valley, peak = ordered[:count].mean(axis=0), ordered[-count:].mean(axis=0)
        contrasts.append(20 * np.log10(np.maximum(peak, _FLOOR) / np.maximum(valley, _FLOOR)))
    return float(np.mean(contrasts))


def zero_crossing_rate(samples: NDArray[np.float32]) -> float:
    """Return the changes of sign a second, of samples `[samples]`."""
    return np.count_nonzero(np.diff(samples < 0)) * SAMPLE_RATE / samples.size


def mel_spectrogram_db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the input of `mfcc` and `tempo`: dB in 128 mel bands, shape `[128, frames]`."""
    filters = mel_filterbank(SAMPLE_RATE, N_FFT, _MEL_BANDS, 0.0, SAMPLE_RATE / 2)
    return power_to_db(filters @ power, amin=_FLOOR, top_db=_TOP_DB)


def mfcc(mel_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the first 13 mel-frequency cepstral coefficients, means over all frames, dB.

    An orthonormal DCT-II over the bands (Davis and Mermelstein, IEEE Trans. ASSP 28, 1980);
    the first coefficient is the level.
    """
    coefficients: NDArray[np.float32] = fft.dct(mel_db.mean(axis=1), norm="ortho")
    return coefficients[:MFCC_COUNT]


def tempo(mel_db: NDArray[np.float32]) -> float:
    """Estimate the beats a minute, at most 320, for the whole recording.

    The strongest period in how fast the bands grow louder: autocorrelation over 8 s around each
    frame, mean over frames, weighted towards 120 by a log-normal prior of one octave (Ellis,
    JNMR 36, 2007). It means nothing where there is no beat.
    """
    frames_a_minute = 60 * SAMPLE_RATE / HOP_LENGTH
    width = int(_TEMPO_SECONDS * frames_a_minute / 60)
    similarity = _similarity(_onsets(mel_db), width)
    tempi = frames_a_minute / np.arange(1, width)
    prior = -0.5 * np.log2(tempi / _LIKELIEST_BPM) ** 2
    prior[tempi >= _FASTEST_BPM] = -np.inf
    best = np.argmax(np.log1p(1e6 * similarity[1:]) + prior)
    return float(tempi[best])


def _onsets(mel_db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean rise of the bands since the frame before, dB, shape `[frames]`."""
    frames = mel_db.shape[1]
    rise = np.maximum(np.diff(mel_db, axis=1), 0).mean(axis=0)
    # A centred frame contains an onset half a window before it comes.
    return np.pad(rise, (1 + N_FFT // (2 * HOP_LENGTH), 0))[:frames]


def _similarity(onsets: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Return the autocorrelation at lags of 0 to `width - 1` frames, 1 at lag 0, `[width]`."""
    padded = np.pad(onsets, width // 2, mode="linear_ramp")
    windows = sliding_window_view(padded, width)[: onsets.size]
    spectrum = fft.rfft(windows * analysis_window("hann", width), 2 * width)
    correlation = fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, :width]
    audible = correlation[correlation[:, 0] > 0]
    if not audible.size:
        return np.zeros(width)
    mean: NDArray[np.float64] = (audible / audible[:, :1]).sum(axis=0) / onsets.size
    return mean
