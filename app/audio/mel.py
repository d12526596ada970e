"""The mel scale and its triangular filters."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

# Slaney's mel scale (Auditory Toolbox, 1998): linear to 1 kHz, logarithmic above.
_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert frequencies in Hz (>= 0) to mels on Slaney's scale."""
    logarithmic = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, logarithmic)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert mels on Slaney's scale to frequencies in Hz."""
    exponential = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, exponential)


def mel_band_edges(n_mels: int, fmin: float, fmax: float) -> NDArray[np.float64]:
    """Return the edges and centres of triangular bands, evenly spaced in mels.

    Args:
        n_mels: number of bands.
        fmin: lower edge of the lowest band in Hz.
        fmax: upper edge of the highest band in Hz.

    Returns:
        Hz, rising, shape `[n_mels + 2]`: band `i` rises from `i`, is highest at `i + 1` and ends
        at `i + 2`.
    """
    limits = hz_to_mel(np.array([fmin, fmax], dtype=np.float64))
    return mel_to_hz(np.linspace(limits[0], limits[1], n_mels + 2))


@cache
def mel_filterbank(
    sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float
) -> NDArray[np.float32]:
    """Return triangular filters of equal area, evenly spaced in mels (librosa's default).

    Args:
        sample_rate: in Hz.
        n_fft: FFT length in samples.
        n_mels: number of bands.
        fmin: lower edge of the lowest band in Hz, >= 0.
        fmax: upper edge of the highest band in Hz, at most `sample_rate / 2`.

    Returns:
        read-only float32, shape `[n_mels, n_fft // 2 + 1]`.

    Raises:
        ValueError: the band edges are out of order or above the Nyquist frequency.
    """
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise ValueError(
            f"need 0 <= fmin < fmax <= {sample_rate / 2:g} Hz, got fmin={fmin:g}, fmax={fmax:g}"
        )
    edges = mel_band_edges(n_mels, fmin, fmax)
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters = (triangles * 2 / (upper - lower)).astype(np.float32)
    filters.flags.writeable = False
    return filters
