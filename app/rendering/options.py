"""What pictures show and how they look, without matplotlib: that is loaded to draw alone."""

from dataclasses import dataclass
from typing import Literal

from app.rendering.spectrogram import Spectrogram

ColourMap = Literal["magma", "inferno", "viridis", "cividis", "gray"]
FrequencyAxis = Literal["log", "linear", "mel"]
PictureFormat = Literal["png", "svg", "webp"]
MEDIA_TYPES: dict[PictureFormat, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}


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
