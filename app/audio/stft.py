"""The short-time Fourier transform: framing, window, real FFT."""

from collections.abc import Iterator
from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft

WindowName = Literal["hann", "hamming", "rectangular"]
WINDOWS: tuple[WindowName, ...] = get_args(WindowName)

CONSTANT_TERM: dict[WindowName, float] = {"hann": 0.5, "hamming": 0.54, "rectangular": 1.0}
"""a0 of w[n] = a0 - (1 - a0) cos(2 pi n / N): Harris, "On the use of windows for harmonic analysis
with the discrete Fourier transform", Proc. IEEE 66(1), 1978. a0 = 1 leaves no cosine."""


@cache
def analysis_window(name: WindowName, length: int) -> NDArray[np.float32]:
    """Return the periodic ("DFT-even") window `name`, as spectral analysis wants it.

    Returns a read-only float32 array of shape `[length]`, values in 0..1.

    Raises ValueError for an unknown name or a length below 2.
    """
    if name not in CONSTANT_TERM:
        raise ValueError(f"unknown window {name!r}; accepted: {', '.join(WINDOWS)}")
    if length < 2:
        raise ValueError(f"window length must be at least 2 samples, got {length}")
    a0 = CONSTANT_TERM[name]
    phase = 2 * np.pi * np.arange(length) / length
    window = (a0 - (1 - a0) * np.cos(phase)).astype(np.float32)
    window.flags.writeable = False
    return window


def frame_count(samples: int, hop_length: int) -> int:
    """Return how many centred frames `stft` makes of a signal of `samples` samples."""
    return 1 + samples // hop_length


def stft(
    signal: NDArray[np.float32], *, n_fft: int, hop_length: int, window: WindowName
) -> NDArray[np.complex64]:
    """Compute the short-time Fourier transform with centred frames.

    Frame `t` is centred on sample `t * hop_length`; beyond its ends the signal counts as
    zero. This is `librosa.stft(..., pad_mode="constant")` and
    `torch.stft(..., pad_mode="constant")`: no scaling, e^(-i w t).

    Args:
        signal: samples, shape `[samples]`, at least one.
        n_fft: window and FFT length in samples, at least 2 and even.
        hop_length: samples between frame centres, at least 1.
        window: name of the periodic analysis window.

    Returns:
        complex64, shape `[n_fft // 2 + 1, 1 + samples // hop_length]`.

    Raises:
        ValueError: a parameter or the signal's shape is out of range.
    """
    return _transform(_frames(signal, n_fft, hop_length), window)


def power_spectrogram(
    signal: NDArray[np.float32], *, n_fft: int, hop_length: int, window: WindowName
) -> NDArray[np.float32]:
    """Return the power of `stft`: float32, shape `[n_fft // 2 + 1, frames]`, all >= 0."""
    return _power(stft(signal, n_fft=n_fft, hop_length=hop_length, window=window))


def power_spectrogram_blocks(
    signal: NDArray[np.float32],
    *,
    n_fft: int,
    hop_length: int,
    window: WindowName,
    block_frames: int,
) -> Iterator[NDArray[np.float32]]:
    """Yield the columns of `power_spectrogram`, `block_frames` at a time and in order.

    For long signals, whose spectrogram would take many times their own memory. The last
    block may be narrower. Raises ValueError as `stft` does.
    """
    frames = _frames(signal, n_fft, hop_length)
    for first in range(0, len(frames), block_frames):
        yield _power(_transform(frames[first : first + block_frames], window))


def _frames(signal: NDArray[np.float32], n_fft: int, hop_length: int) -> NDArray[np.float32]:
    """Return a view of the centred frames, shape `[frames, n_fft]`."""
    if signal.ndim != 1 or signal.size == 0:
        raise ValueError(f"signal must be one-dimensional and not empty, got {signal.shape}")
    if n_fft < 2 or n_fft % 2:
        raise ValueError(f"n_fft must be even and at least 2, got {n_fft}")
    if hop_length < 1:
        raise ValueError(f"hop_length must be at least 1, got {hop_length}")
    padded = np.pad(np.asarray(signal, dtype=np.float32), n_fft // 2)
    return sliding_window_view(padded, n_fft)[::hop_length]


def _transform(frames: NDArray[np.float32], window: WindowName) -> NDArray[np.complex64]:
    # Frames lie along the first axis so that each FFT reads contiguous memory.
    windowed = frames * analysis_window(window, frames.shape[-1])
    spectrum: NDArray[np.complex64] = fft.rfft(windowed, axis=-1)
    return spectrum.T


def _power(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return spectrum.real**2 + spectrum.imag**2
