"""How spectrograms are shown: the query parameters, and the pictures or numbers they ask for."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Depends, Query
from numpy.typing import NDArray

from earshot import schemas
from app.audio.stft import WindowName
from app.rendering.style import (
    MEDIA_TYPES,
    ColourMap,
    FrequencyAxis,
    Panel,
    PictureFormat,
    Style,
)

_NPY = "application/octet-stream"
_BINARY = {"schema": {"type": "string", "format": "binary"}}

PICTURES: dict[str, Any] = dict.fromkeys(MEDIA_TYPES.values(), _BINARY)
"""OpenAPI's `content` of an answer that is a picture."""

SPECTROGRAMS: dict[str, Any] = {
    "description": """The picture or the numbers.

`npy` is one float32 array `[spectrograms, 1 + frequencies, 1 + times]`. Of each spectrogram `s`,
`s[1:, 0]` are the frequencies (Hz), `s[0, 1:]` the times (s) and `s[1:, 1:]` the levels (dB).
`s[0, 0]` is NaN, and so are the columns that a spectrogram lacks to the width of the widest.""",
    "model": schemas.Spectrograms,
    "content": PICTURES | {_NPY: _BINARY},
}
"""OpenAPI's response of an answer made by `show`."""


@dataclass(frozen=True)
class Look:
    """The query parameters that say how spectrograms are shown."""

    window: Annotated[WindowName, Query(description="analysis window")] = "hann"
    format: Annotated[
        Literal[PictureFormat, "json", "npy"],
        Query(description="a picture, or the numbers that it would show"),
    ] = "png"
    width: Annotated[
        int,
        Query(
            ge=200,
            le=3000,
            description="pixels, and the most columns of numbers; where a recording has more "
            "frames, neighbours are joined by their maximum",
        ),
    ] = 1000
    height: Annotated[int, Query(ge=150, le=2000, description="pixels; pictures only")] = 500
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
        """Of what `show` returns."""
        if self.format == "json":
            return "application/json"
        return _NPY if self.format == "npy" else MEDIA_TYPES[self.format]


LookDependency = Annotated[Look, Depends()]


def show(panels: Sequence[Panel], look: Look) -> bytes:
    """The content of an answer: `panels` in the format that `look` asks for."""
    if look.format == "json":
        return _json(panels)
    if look.format == "npy":
        return _npy(panels)
    # It brings matplotlib, memory and a slower start for those who only classify.
    from app.rendering.spectrograms import draw_spectrograms  # noqa: PLC0415

    return draw_spectrograms(
        panels,
        top_db=look.top_db,
        style=Style(look.width, look.height, look.colour_map, look.axis),
        picture_format=look.format,
    )


def rounded(values: NDArray[np.floating], decimals: int) -> list[Any]:
    """Nested lists of `values`, short in JSON."""
    lists: list[Any] = np.round(values.astype(np.float64), decimals).tolist()
    return lists


def _json(panels: Sequence[Panel]) -> bytes:
    content = schemas.Spectrograms(
        spectrograms=[
            schemas.SpectrogramData(
                title=panel.title,
                times=rounded(panel.spectrogram.times, 4),
                frequencies=rounded(panel.spectrogram.frequencies, 3),
                decibels=rounded(panel.spectrogram.db, 2),
            )
            for panel in panels
        ]
    )
    return content.model_dump_json().encode()


def _npy(panels: Sequence[Panel]) -> bytes:
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
