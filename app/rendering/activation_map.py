"""What a network listened to, drawn over what it heard."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from app.rendering.canvas import canvas, encode, scale_frequencies
from app.rendering.style import PictureFormat

_AGAINST, _NEITHER, _FOR = (0.0, 0.45, 1.0, 0.7), (0.5, 0.5, 0.5, 0.0), (1.0, 0.2, 0.0, 0.7)
_COLOURS = LinearSegmentedColormap.from_list("for and against", [_AGAINST, _NEITHER, _FOR])


def draw_explanation(
    db: NDArray[np.float32],
    class_map: NDArray[np.float32],
    *,
    stride: int,
    times: NDArray[np.float64],
    frequencies: NDArray[np.float64],
    title: str,
    width: int,
    height: int,
    picture_format: PictureFormat,
) -> bytes:
    """Draw a spectrogram in grey, and a class activation map over it: red for, blue against.

    Args:
        db: mel spectrogram, dB, shape `[mels, frames]`.
        class_map: logits, shape `[rows, columns]`.
        stride: row and column `i` of the map lie on mel band and frame `stride * i`; between
            them the map is interpolated.
        times: of the frames, s.
        frequencies: centres of the mel bands, Hz.
        title: written above.
        width: pixels.
        height: pixels.
        picture_format: of the result.

    Returns:
        a picture of exactly `width` x `height` pixels (an SVG scales).
    """
    strongest = float(np.abs(class_map).max())
    with canvas(width, height) as figure:
        axes = figure.add_subplot()
        axes.pcolormesh(times, frequencies, db, cmap="gray", rasterized=True)
        image = axes.pcolormesh(
            times,
            frequencies,
            _interpolated(class_map, stride, db.shape),
            cmap=_COLOURS,
            vmin=-strongest,
            vmax=strongest,
            rasterized=True,
        )
        scale_frequencies(axes, "mel", frequencies[-1])
        axes.set_ylim(bottom=frequencies[0])
        axes.set(xlabel="Time (s)", ylabel="Frequency (Hz)", title=title)
        figure.colorbar(image, ax=axes, pad=0.01, label="logit")
        return encode(figure, picture_format)


def _interpolated(
    class_map: NDArray[np.float32], stride: int, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """The map in `shape`, linear between its places and constant beyond the last."""
    bands, frames = (np.arange(size) / stride for size in shape)
    rows, columns = (np.arange(size) for size in class_map.shape)
    wide = np.stack([np.interp(frames, columns, row) for row in class_map])
    return np.stack([np.interp(bands, rows, column) for column in wide.T], axis=1)
