"""What is drawn and how it shall look, without what draws it: that is only loaded to draw."""

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
class Style:
    """How a picture looks."""

    width: int
    """pixels"""
    height: int
    """pixels"""
    colour_map: ColourMap
    axis: FrequencyAxis


@dataclass(frozen=True)
class Panel:
    """One spectrogram and what is written above it."""

    title: str
    spectrogram: Spectrogram
