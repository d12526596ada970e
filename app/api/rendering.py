"""Answers that show spectrograms: their query parameters, and the pictures or numbers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Depends, Query
from numpy.typing import NDArray

from app.audio.stft import WindowName
from app.rendering.spectrogram import (
    MEDIA_TYPES,
    ColourMap,
    FrequencyAxis,
    Panel,
    PictureFormat,
    RenderOptions,
)
from earshot.schemas import SpectrogramData, SpectrogramList

_NPY = "application/octet-stream"
_BINARY = {"schema": {"type": "string", "format": "binary"}}

SpectrogramFormat = Literal[PictureFormat, "json", "npy"]

PICTURE_CONTENT: dict[str, Any] = {"image/*": _BINARY}
"""OpenAPI's `content` of an answer that is a picture"""

SPECTROGRAM_RESPONSE: dict[str, Any] = {
    "description": """The picture or the numbers.

`npy` is one float32 array `[spectrograms, 1 + frequencies, 1 + times]`. Of each spectrogram `s`,
`s[1:, 0]` are the frequencies (Hz), `s[0, 1:]` the times (s) and `s[1:, 1:]` the levels (dB).
`s[0, 0]` is NaN, and so are the columns that a spectrogram lacks to the width of the widest.""",
    "model": SpectrogramList,
    # Whoever knows no pictures, as some makers of clients, takes the first that is bytes.
    "content": PICTURE_CONTENT | {_NPY: _BINARY},
}
"""OpenAPI's response of an answer made by `render`"""

Width = Annotated[
    int,
    Query(
        ge=200,
        le=3000,
        description="pixels, and the most columns of numbers; where a recording has more "
        "frames, neighbours are joined by their maximum",
    ),
]
Height = Annotated[int, Query(ge=150, le=2000, description="pixels; pictures only")]


@dataclass(frozen=True)
class SpectrogramQuery:
    """The query parameters of spectrograms."""

    window: Annotated[WindowName, Query(description="analysis window")] = "hann"
    format: Annotated[
        SpectrogramFormat,
        Query(description="a picture, or the numbers that it would show"),
    ] = "png"
    width: Width = 1000
    height: Height = 500
    colour_map: Annotated[ColourMap, Query(description="pictures only")] = "magma"
    axis: Annotated[
        FrequencyAxis,
        Query(description="scale of the frequency axis; pictures only, numbers have their Hz"),
    ] = "log"
    top_db: Annotated[
        float, Query(ge=20, le=120, description="dB shown below the loudest point")
    ] = 80.0

    @property
    def media_type(self) -> str:
        """The media type of the result of `render`."""
        if self.format == "json":
            return "application/json"
        return _NPY if self.format == "npy" else MEDIA_TYPES[self.format]


SpectrogramQueryDependency = Annotated[SpectrogramQuery, Depends()]


def render(panels: Sequence[Panel], query: SpectrogramQuery) -> bytes:
    """Render spectrograms in the format of the query."""
    if query.format == "json":
        return _to_json(panels)
    if query.format == "npy":
        return _to_npy(panels)
    # It loads matplotlib: memory and a slower start for those who only classify.
    from app.rendering.figures import draw_spectrograms  # noqa: PLC0415

    options = RenderOptions(
        query.width,
        query.height,
        query.format,
        query.colour_map,
        query.axis,
        query.top_db,
    )
    return draw_spectrograms(panels, options)


def to_rounded_lists(values: NDArray[np.floating], decimals: int) -> list[Any]:
    """Return `values` as nested lists that are short in JSON."""
    lists: list[Any] = np.round(values.astype(np.float64), decimals).tolist()
    return lists


def _to_json(panels: Sequence[Panel]) -> bytes:
    content = SpectrogramList(
        spectrograms=[
            SpectrogramData(
                title=panel.title,
                times=to_rounded_lists(panel.spectrogram.times, 4),
                frequencies=to_rounded_lists(panel.spectrogram.frequencies, 3),
                db=to_rounded_lists(panel.spectrogram.db, 2),
            )
            for panel in panels
        ]
    )
    return content.model_dump_json().encode()


def _to_npy(panels: Sequence[Panel]) -> bytes:
    shown = [panel.spectrogram for panel in panels]
    rows = 1 + shown[0].frequencies.size
    columns = 1 + max(each.times.size for each in shown)
    table = np.full((len(shown), rows, columns), np.nan, np.float32)
    for page, each in zip(table, shown, strict=True):
        page[1:, 0] = each.frequencies
        page[0, 1 : 1 + each.times.size] = each.times
        page[1:, 1 : 1 + each.times.size] = each.db
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()
