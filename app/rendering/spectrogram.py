"""Spectrograms in decibels, no wider than they can be shown, and the options of their pictures.

Without matplotlib: that is loaded to draw alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.audio.log_mel import power_to_db
from app.audio.stft import WindowName, frame_count, power_spectrogram_blocks

SAMPLE_RATE = 22_050
"""Hz: enough for every octave that is sung or played, and half the work of 44.1 kHz"""
N_FFT = 2048
HOP_LENGTH = 512

ColourMap = Literal["magma", "inferno", "viridis", "cividis", "gray"]
FrequencyAxis = Literal["log", "linear", "mel"]
PictureFormat = Literal["png", "svg", "webp"]
MEDIA_TYPES: dict[PictureFormat, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}

# Power of a full-scale sine is about (n_fft / 4)^2; nothing audible lies this far below.
_FLOOR = 1e-10
# About 2 MB of power at a time.
_BLOCK_FRAMES = 512


@dataclass(frozen=True)
class Spectrogram:
    """Level by frequency and time."""

    times: NDArray[np.float64]
    """centres of the columns, s, rising, shape `[columns]`"""
    frequencies: NDArray[np.float64]
    """centres of the rows, Hz, rising from 0 to half the sample rate, shape `[rows]`"""
    db: NDArray[np.float32]
    """dB, 0 the loudest point, shape `[rows, columns]`"""
    column_seconds: float
    """from the centre of a column to the next"""


@dataclass(frozen=True)
class RenderOptions:
    """The look of a picture."""

    width: int = 1000
    """pixels"""
    height: int = 500
    """pixels"""
    format: PictureFormat = "png"
    colour_map: ColourMap = "magma"
    frequency_axis: FrequencyAxis = "log"
    top_db: float = 80.0
    """dB shown below the loudest point"""


@dataclass(frozen=True)
class Panel:
    """One spectrogram and its title."""

    title: str
    spectrogram: Spectrogram


def compute_spectrogram(
    samples: NDArray[np.float32],
    *,
    window: WindowName,
    columns: int,
    top_db: float,
) -> Spectrogram:
    """Compute the spectrogram of a mono recording: 1025 frequencies, frames of 2048, hop 512.

    Where there are more frames than `columns`, neighbours are joined by their maximum: a click
    stays as bright in ten minutes as it is in one, where a mean would hide it. Works block by
    block, so that memory grows with `columns` and not with the recording.

    Args:
        samples: shape `[samples]`, not empty, at `SAMPLE_RATE`.
        window: analysis window.
        columns: most columns of the result, at least 1.
        top_db: dB kept below the loudest point.
    """
    joined = -(-frame_count(samples.size, HOP_LENGTH) // columns)
    blocks = power_spectrogram_blocks(
        samples,
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        window=window,
        block_frames=joined * max(1, _BLOCK_FRAMES // joined),
    )
    power = np.concatenate([_join(block, joined) for block in blocks], axis=1)
    db = power_to_db(power, amin=_FLOOR, top_db=top_db)
    db -= db.max()
    column = joined * HOP_LENGTH / SAMPLE_RATE
    # The first frame is centred on the first sample.
    first = (joined - 1) / 2 * HOP_LENGTH / SAMPLE_RATE
    return Spectrogram(
        times=first + np.arange(db.shape[1], dtype=np.float64) * column,
        frequencies=np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT,
        db=db,
        column_seconds=column,
    )


def _join(power: NDArray[np.float32], joined: int) -> NDArray[np.float32]:
    """Return the maximum of each `joined` columns, the last of what is left."""
    maxima: NDArray[np.float32] = np.maximum.reduceat(
        power, np.arange(0, power.shape[1], joined), axis=1
    )
    return maxima
