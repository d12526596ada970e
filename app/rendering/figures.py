"""Draw spectrograms and maps of evidence with matplotlib."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator
from numpy.typing import NDArray

from app.audio.mel import hz_to_mel, mel_to_hz
from app.rendering.spectrogram import (
    FrequencyAxis,
    Panel,
    PictureFormat,
    RenderOptions,
    Spectrogram,
)

_DPI = 100
_LOWEST_HZ = 30.0
_STRIP_CELLS = 1 << 16
_MEL_TICKS_HZ = (0, 250, 500, 1000, 2000, 4000, 8000, 16_000)
_AGAINST, _NEUTRAL, _FOR = (0.0, 0.45, 1.0, 0.7), (0.5, 0.5, 0.5, 0.0), (1.0, 0.2, 0.0, 0.7)
_EVIDENCE = LinearSegmentedColormap.from_list("evidence", [_AGAINST, _NEUTRAL, _FOR])

# matplotlib shares fonts and caches between figures and is not made for threads.
_drawing = threading.Lock()
# SVG names its parts at random, but the same picture shall have the same bytes.
matplotlib.rcParams["svg.hashsalt"] = "earshot"


def draw_spectrograms(panels: Sequence[Panel], options: RenderOptions) -> bytes:
    """Draw one or more spectrograms, from left to right.

    Args:
        panels: at least one, with the same frequencies.
        options: look of the picture.

    Returns:
        a picture of exactly `options.width` x `options.height` pixels (an SVG scales).
    """
    with _figure(options) as figure:
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            shown = panel.spectrogram
            image = _draw_levels(axes, shown, options)
            _scale_frequencies(axes, options.frequency_axis, shown.frequencies[-1])
            axes.set(xlabel="Time (s)", ylabel="Frequency (Hz)")
            axes.set_title(panel.title, parse_math=False)  # names may have a $
            axes.label_outer()
        figure.colorbar(image, ax=row, format="%d dB", pad=0.01)
        return _encode(figure, options.format)


def draw_evidence(
    db: NDArray[np.float32],
    evidence: NDArray[np.float32],
    *,
    stride: int,
    times: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    title: str,
    options: RenderOptions,
) -> bytes:
    """Draw a spectrogram in grey, and a map of evidence over it: red for, blue against.

    Args:
        db: mel spectrogram, dB, shape `[n_mels, frames]`.
        evidence: logits, shape `[rows, columns]`.
        stride: row and column `i` of the map lie on mel band and frame `stride * i`; between
            them the map is interpolated.
        times: of the frames, s.
        frequencies: centres of the mel bands, Hz.
        title: above the picture.
        options: size and format of the picture.

    Returns:
        a picture of exactly `options.width` x `options.height` pixels (an SVG scales).
    """
    strongest = float(np.abs(evidence).max())
    with _figure(options) as figure:
        axes = figure.add_subplot()
        axes.pcolormesh(times, frequencies, db, cmap="gray", rasterized=True)
        image = axes.pcolormesh(
            times,
            frequencies,
            _interpolated(evidence, stride, db.shape),
            cmap=_EVIDENCE,
            vmin=-strongest,
            vmax=strongest,
            rasterized=True,
        )
        _scale_frequencies(axes, "mel", frequencies[-1])
        axes.set_ylim(bottom=frequencies[0])
        axes.set(xlabel="Time (s)", ylabel="Frequency (Hz)")
        axes.set_title(title, parse_math=False)
        figure.colorbar(image, ax=axes, pad=0.01, label="logit")
        return _encode(figure, options.format)


def _draw_levels(axes: Axes, shown: Spectrogram, options: RenderOptions) -> QuadMesh:
    """Draw a spectrogram in strips: nothing else runs while matplotlib draws one."""
    times = _edges(shown.times, shown.column_seconds)
    frequencies = _edges(shown.frequencies, shown.frequencies[1])
    columns = max(1, _STRIP_CELLS // shown.frequencies.size)
    for start in range(0, shown.times.size, columns):
        strip = axes.pcolormesh(
            times[start : start + columns + 1],
            frequencies,
            shown.db[:, start : start + columns],
            cmap=options.colour_map,
            vmin=-options.top_db,
            vmax=0,
            rasterized=True,
        )
        strip.set_in_layout(False)
    return strip


@contextmanager
def _figure(options: RenderOptions) -> Iterator[Figure]:
    """Yield an empty figure, the only one while it is open."""
    size = (options.width / _DPI, options.height / _DPI)
    with _drawing:
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)  # a figure of its own, beside pyplot's global state
        yield figure


def _encode(figure: Figure, picture_format: PictureFormat) -> bytes:
    """Return the figure as a file; the same figure gives the same bytes."""
    picture = io.BytesIO()
    metadata = {"Date": None} if picture_format == "svg" else None
    figure.savefig(picture, format=picture_format, metadata=metadata)
    return picture.getvalue()


def _scale_frequencies(axes: Axes, axis: FrequencyAxis, highest: float) -> None:
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


def _edges(centres: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return the edges of cells that lie `step` apart, one more than there are cells."""
    return np.append(centres - step / 2, centres[-1] + step / 2)


def _interpolated(
    evidence: NDArray[np.float32], stride: int, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the map in `shape`, linear between its places and constant beyond the last."""
    bands, frames = (np.arange(size) / stride for size in shape)
    rows, columns = (np.arange(size) for size in evidence.shape)
    wide = np.stack([np.interp(frames, columns, row) for row in evidence])
    return np.stack([np.interp(bands, rows, column) for column in wide.T], axis=1)
