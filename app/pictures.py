"""Spectrograms as pictures, with axes in seconds and Hz and a colour bar in dB."""

import io
import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from app.audio.frontend import decibels
from app.audio.stft import power_spectrogram
from app.audio.windows import WindowName

ColourMap = Literal["magma", "inferno", "viridis", "cividis", "gray"]

_N_FFT = 2048
_HOP_LENGTH = 512
_DPI = 100
_LOWEST_HZ = 30.0
# Power of a full-scale sine is about (n_fft / 4)^2; nothing audible lies this far below.
_FLOOR = 1e-10

# matplotlib shares fonts and caches between figures and is not made for threads.
_drawing = threading.Lock()


@dataclass(frozen=True)
class Style:
    """How a picture looks."""

    width: int
    """pixels"""
    height: int
    """pixels"""
    colour_map: ColourMap
    dynamic_range_db: float
    """dB between the loudest point and the colour of silence"""


def spectrogram_png(
    samples: NDArray[np.float32],
    *,
    sample_rate: int,
    window: WindowName,
    title: str,
    style: Style,
) -> bytes:
    """Draw the spectrogram of a mono recording.

    Args:
        samples: shape `[samples]`, not empty.
        sample_rate: Hz.
        window: analysis window.
        title: written above.
        style: size and colours.

    Returns:
        a PNG of exactly `style.width` x `style.height` pixels. Frequencies are on a
        logarithmic axis from 30 Hz to half the sample rate; 0 dB is the loudest point.
    """
    power = power_spectrogram(samples, n_fft=_N_FFT, hop_length=_HOP_LENGTH, window=window)
    db = decibels(power, floor=_FLOOR, dynamic_range_db=style.dynamic_range_db)
    db -= db.max()
    times = np.arange(db.shape[1]) * _HOP_LENGTH / sample_rate
    frequencies = np.arange(_N_FFT // 2 + 1) * sample_rate / _N_FFT
    with _drawing:
        return _draw(times, frequencies, db, title, style)


def _draw(
    times: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    db: NDArray[np.float32],
    title: str,
    style: Style,
) -> bytes:
    size = (style.width / _DPI, style.height / _DPI)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    image = axes.pcolormesh(
        times,
        frequencies,
        db,
        shading="nearest",
        cmap=style.colour_map,
        vmin=-style.dynamic_range_db,
        vmax=0,
        rasterized=True,
    )
    axes.set_yscale("log")
    axes.set_ylim(_LOWEST_HZ, frequencies[-1])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="Time (s)", ylabel="Frequency (Hz)", title=title)
    figure.colorbar(image, ax=axes, format="%d dB", pad=0.01)
    picture = io.BytesIO()
    FigureCanvasAgg(figure)  # a figure of its own, beside pyplot's global state
    figure.savefig(picture, format="png")
    return picture.getvalue()
