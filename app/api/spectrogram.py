"""`GET /spectrogram`: what does music of a genre look like?"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from app.api import problems
from app.api.state import ServiceDependency
from app.audio.recording import read_recording
from app.audio.windows import WindowName
from app.genres import GenreLibrary, title
from app.pictures import ColourMap, Style, spectrogram_png

router = APIRouter(tags=["spectrogram"])

# Enough for every octave that the ear makes music of; halves the work of 44.1 kHz.
_SAMPLE_RATE = 22_050
_LONGEST_SECONDS = 600.0
_CACHED_PICTURES = 64
_PNG = {"image/png": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/spectrogram",
    response_class=Response,
    responses={
        200: {"description": "The picture", "content": _PNG},
        304: {"description": "The picture is the one whose ETag was sent"},
        **problems.responses(HTTPStatus.UNPROCESSABLE_ENTITY),
    },
)
async def spectrogram(
    service: ServiceDependency,
    genre: Annotated[
        str, Query(description="a folder of the library", examples=["jazz", "hip-hop"])
    ],
    window: Annotated[WindowName, Query(description="analysis window")] = "hann",
    clip: Annotated[int, Query(ge=1, description="which of the genre's recordings")] = 1,
    width: Annotated[int, Query(ge=200, le=3000, description="pixels")] = 1000,
    height: Annotated[int, Query(ge=150, le=2000, description="pixels")] = 500,
    colour_map: Annotated[ColourMap, Query()] = "magma",
    dynamic_range_db: Annotated[
        float, Query(ge=20, le=120, description="dB shown below the loudest point")
    ] = 80.0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Draw the spectrogram of a genre's example recording."""
    style = Style(width, height, colour_map, dynamic_range_db)
    picture = await service.compute(_find_and_draw, service.genres, genre, clip, window, style)
    headers = {"ETag": picture.etag, "Cache-Control": "public, max-age=3600"}
    if if_none_match is not None and _matches(if_none_match, picture.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(picture.png, media_type="image/png", headers=headers)


@dataclass(frozen=True)
class _Picture:
    png: bytes
    etag: str


def _find_and_draw(
    library: GenreLibrary, genre: str, clip: int, window: WindowName, style: Style
) -> _Picture:
    path = library.find(genre, clip)
    heading = f"{genre}: {title(path)} ({window} window)"
    return _draw(path, path.stat().st_mtime_ns, window, heading, style)


@lru_cache(maxsize=_CACHED_PICTURES)
def _draw(path: Path, _modified: int, window: WindowName, heading: str, style: Style) -> _Picture:
    """The picture, drawn anew only for another question or when the file has changed."""
    recording = read_recording(
        path.read_bytes(), sample_rate=_SAMPLE_RATE, max_seconds=_LONGEST_SECONDS
    )
    png = spectrogram_png(
        recording.samples, sample_rate=_SAMPLE_RATE, window=window, title=heading, style=style
    )
    return _Picture(png, f'"{hashlib.sha256(png).hexdigest()[:32]}"')


def _matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison, as RFC 9110, section 13.1.2, wants it."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags
