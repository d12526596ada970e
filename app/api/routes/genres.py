"""`GET /genres` and `GET /recording`: the gallery of music, in numbers and to be heard."""

import mimetypes
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from app.api import problems
from app.api.state import StateDependency
from app.decoding.errors import AudioError
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from app.music.library import MAX_SECONDS, GenreLibrary, track_title
from app.music.spectral_features import measure_features
from app.rendering.spectrogram import SAMPLE_RATE
from earshot.schemas import Genre, GenreList, GenreTrack, SpectralFeatures

router = APIRouter(tags=["spectrogram"])

_CACHED_TRACKS = 4096
_NO_RANGE = "the header Range names no part of the recording"
_SOUND = {"audio/*": {"schema": {"type": "string", "format": "binary"}}}
_READER = RecordingReader(AudioLimits(max_seconds=MAX_SECONDS))


@router.get(
    "/genres",
    response_model_exclude_none=True,
    responses=problems.openapi_responses("invalid-parameter", "overloaded", "draining"),
)
async def genres(
    state: StateDependency,
    limit: Annotated[
        int, Query(ge=1, le=100, description="recordings that are measured of each genre")
    ] = 10,
) -> GenreList:
    """List each genre with its recordings and their features.

    Measured through the Hann window, anew only when a file has changed.
    """
    with state.admission.acquire():
        return await state.run_in_thread(_list_genres, state.genres, limit)


@router.get(
    "/recording",
    response_class=FileResponse,
    responses={
        200: {"description": "The recording, as it is in the gallery", "content": _SOUND},
        206: {"description": "The part of it that the header Range names", "content": _SOUND},
        **problems.openapi_http_response(HTTPStatus.BAD_REQUEST, _NO_RANGE),
        **problems.openapi_http_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, _NO_RANGE),
        **problems.openapi_responses("invalid-parameter", "draining"),
    },
)
async def recording(
    state: StateDependency,
    genre: Annotated[
        str, Query(description="a folder of the gallery", examples=["jazz", "hip-hop"])
    ],
    track: Annotated[int, Query(ge=1, description="which of the genre's recordings")] = 1,
) -> FileResponse:
    """Play the recording whose picture `GET /spectrogram` draws."""
    path = await state.run_in_thread(state.genres.find_track, genre, track)
    media_type, _ = mimetypes.guess_type(path.name)
    return _RangeResponse(path, media_type=media_type or "application/octet-stream")


class _RangeResponse(FileResponse):
    """A file, or the range of it that is asked for; a range that is not there is a problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; raises HTTPException before anything is sent."""

        async def send_checked(message: Message) -> None:
            status = message.get("status", HTTPStatus.OK)
            if status >= HTTPStatus.BAD_REQUEST:
                size = Headers(raw=message["headers"]).get("content-range")
                raise HTTPException(status, _NO_RANGE, {"Content-Range": size} if size else None)
            await send(message)

        await super().__call__(scope, receive, send_checked)


def _list_genres(library: GenreLibrary, limit: int) -> GenreList:
    found = []
    for name in library.list_genres():
        paths = library.list_tracks(name)
        tracks = [
            _describe_track(number, path, path.stat().st_mtime_ns)
            for number, path in enumerate(paths[:limit], start=1)
        ]
        measured = [track.features for track in tracks if track.features]
        mean = _mean(measured) if measured else None
        found.append(Genre(genre=name, track_count=len(paths), tracks=tracks, mean=mean))
    return GenreList(genres=found)


@lru_cache(maxsize=_CACHED_TRACKS)
def _describe_track(number: int, path: Path, _modified_ns: int) -> GenreTrack:
    title = track_title(path)
    try:
        samples = _READER.read(path.read_bytes(), sample_rate=SAMPLE_RATE).samples
    except AudioError as error:
        return GenreTrack(track=number, title=title, error=str(error))
    return GenreTrack(
        track=number,
        title=title,
        seconds=round(samples.size / SAMPLE_RATE, 3),
        features=measure_features(samples),
    )


def _mean(measured: Sequence[SpectralFeatures]) -> SpectralFeatures:
    dumps = [each.model_dump() for each in measured]
    return SpectralFeatures(
        **{
            name: np.mean([each[name] for each in dumps], axis=0).round(5).tolist()
            for name in SpectralFeatures.model_fields
        }
    )
