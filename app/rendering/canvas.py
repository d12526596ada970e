"""What all pictures share: their size, frequency axes, and the file they become."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator

from app.audio.mel import hz_to_mel, mel_to_hz
from app.rendering.style import FrequencyAxis, PictureFormat

_DPI = 100
_LOWEST_HZ = 30.0
_MEL_TICKS_HZ = (0, 250, 500, 1000, 2000, 4000, 8000, 16_000)

# matplotlib shares fonts and caches between figures and is not made for threads.
_drawing = threading.Lock()
# SVG names its parts at random, but the same picture shall have the same bytes.
matplotlib.rcParams["svg.hashsalt"] = "earshot"


@contextmanager
def canvas(width: int, height: int) -> Iterator[Figure]:
    """An empty figure of `width` x `height` pixels, and the only one while it is open."""
    with _drawing:
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)  # a figure of its own, beside pyplot's global state
        yield figure


def encode(figure: Figure, picture_format: PictureFormat) -> bytes:
    """The figure as a file; the same figure gives the same bytes."""
    picture = io.BytesIO()
    metadata = {"Date": None} if picture_format == "svg" else None
    figure.savefig(picture, format=picture_format, metadata=metadata)
    return picture.getvalue()


def scale_frequencies(axes: Axes, axis: FrequencyAxis, highest: float) -> None:
    """Give `axes` a vertical axis in Hz up to `highest`.

    A logarithmic one begins at 30 Hz, the others at 0.
    """
    if axis == "log":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    elif axis == "mel":
        axes.set_yscale("function", functions=(hz_to_mel, mel_to_hz))
        axes.yaxis.set_major_locator(FixedLocator(_MEL_TICKS_HZ))
    axes.set_ylim(_LOWEST_HZ if axis == "log" else 0, highest)
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_minor_locator(NullLocator())
