"""The analysis windows that Earshot compares."""

from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

WindowName = Literal["hann", "hamming", "rectangular"]
WINDOWS: tuple[WindowName, ...] = get_args(WindowName)

# w[n] = a0 - (1 - a0) cos(2 pi n / N): Harris, "On the use of windows for harmonic analysis
# with the discrete Fourier transform", Proc. IEEE 66(1), 1978. a0 = 1 leaves no cosine.
_CONSTANT_TERM: dict[WindowName, float] = {"hann": 0.5, "hamming": 0.54, "rectangular": 1.0}


@cache
def analysis_window(name: WindowName, length: int) -> NDArray[np.float32]:
    """Return the periodic ("DFT-even") window `name`, as spectral analysis wants it.

    Returns a read-only float32 array of shape `[length]`, values in 0..1.

    Raises ValueError for an unknown name or a length below 2.
    """
    if name not in _CONSTANT_TERM:
        raise ValueError(f"unknown window {name!r}; accepted: {', '.join(WINDOWS)}")
    if length < 2:
        raise ValueError(f"window length must be at least 2 samples, got {length}")
    a0 = _CONSTANT_TERM[name]
    phase = 2 * np.pi * np.arange(length) / length
    window = (a0 - (1 - a0) * np.cos(phase)).astype(np.float32)
    window.flags.writeable = False
    return window
