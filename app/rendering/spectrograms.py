"""Spectrograms side by side, with axes in seconds and Hz and a colour bar in dB."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.rendering.canvas import canvas, encode, scale_frequencies
from app.rendering.style import Panel, PictureFormat, Style


def draw_spectrograms(
    panels: Sequence[Panel],
    *,
    top_db: float,
    style: Style,
    picture_format: PictureFormat,
) -> bytes:
    """Draw one or more spectrograms, from left to right.

    Args:
        panels: at least one, with the same frequencies.
        top_db: dB between the loudest point of each and the colour of silence.
        style: size, colours and frequency axis.
        picture_format: of the result.

    Returns:
        a picture of exactly `style.width` x `style.height` pixels (an SVG scales).
    """
    with canvas(style.width, style.height) as figure:
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            shown = panel.spectrogram
            image = axes.pcolormesh(
                _edges(shown.times, shown.column_seconds),
                _edges(shown.frequencies, shown.frequencies[1]),
                shown.db,
                cmap=style.colour_map,
                vmin=-top_db,
                vmax=0,
                rasterized=True,
            )
            scale_frequencies(axes, style.axis, shown.frequencies[-1])
            axes.set(xlabel="Time (s)", ylabel="Frequency (Hz)", title=panel.title)
            axes.label_outer()
        figure.colorbar(image, ax=row, format="%d dB", pad=0.01)
        return encode(figure, picture_format)


def _edges(centres: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """The edges of cells that lie `step` apart, one more than there are cells."""
    return np.append(centres - step / 2, centres[-1] + step / 2)
