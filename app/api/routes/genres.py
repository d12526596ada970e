"""`GET /genres` and `GET /recording`: the gallery of music, in numbers and to be heard."""

import mimetypes
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from app.api import problems
from app.api.cache import LruCache
from app.api.state import AppState, StateDependency
from app.decoding.errors import AudioError
from app.decoding.recording import MonoStream
from app.music.library import Track, TrackError
from app.music.spectral_features import measure_features
from app.rendering.spectrogram import SAMPLE_RATE
from earshot.schemas import Genre, GenreList, GenreTrack, SpectralFeatures

router = APIRouter(tags=["spectrogram"])

_CACHED_TRACKS = 4096
_NO_RANGE = "the header Range names no part of the recording"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
# The latter where a file's name does not tell.
_SOUND = {"audio/*": _BINARY, "application/octet-stream": _BINARY}


@router.get(
    "/genres",
    summary="List the gallery",
    response_model_exclude_none=True,
    responses=problems.openapi_responses("invalid-parameter", "overloaded", "deadline", "draining"),
)
async def genres(
    request: Request,
    state: StateDependency,
    limit: Annotated[
        int, Query(ge=1, le=100, description="recordings that are measured of each genre")
    ] = 10,
) -> GenreList:
    """List each genre with its recordings and their features.

    Measured through the Hann window, anew only when a file has changed.
    """
    async with state.admit_picture(request):
        library = state.genres
        found = []
        for name in await state.draw_in_thread(library.list_genres):
            tracks = await state.draw_in_thread(library.list_tracks, name)
            described = [await _describe_track(state, track) for track in tracks[:limit]]
            measured = [each.features for each in described if each.features]
            mean = _mean(measured) if measured else None
            found.append(Genre(genre=name, track_count=len(tracks), tracks=described, mean=mean))
    return GenreList(genres=found)


@router.get(
    "/recording",
    summary="Play music of the gallery",
    response_class=FileResponse,
    responses={
        200: {"description": "The recording, as it is in the gallery", "content": _SOUND},
        206: {"description": "The part of it that the header Range names", "content": _SOUND},
        **problems.openapi_http_response(HTTPStatus.BAD_REQUEST, _NO_RANGE),
        **problems.openapi_http_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, _NO_RANGE),
        **problems.openapi_responses("invalid-parameter", "corrupt", "draining"),
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
    found = await state.draw_in_thread(state.genres.find_track, genre, track)
    path = found.path
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


_described: LruCache[Track, GenreTrack] = LruCache(_CACHED_TRACKS)


async def _describe_track(state: AppState, track: Track) -> GenreTrack:
    """Measure a recording, unless that was done; one that cannot be read has its error."""
    found = _described.get(track)
    return found or _described.put(track, await _measure_track(state, track))


async def _measure_track(state: AppState, track: Track) -> GenreTrack:
    if track.error is not None:
        return GenreTrack(track=track.number, title=track.title, error=track.error)
    try:
        async with state.open_track(track) as stream:
            seconds, features = await state.draw_in_thread(_measure, stream)
    except (AudioError, TrackError) as error:
        return GenreTrack(track=track.number, title=track.title, error=str(error))
    return GenreTrack(
        track=track.number, title=track.title, seconds=round(seconds, 3), features=features
    )


def _measure(stream: MonoStream) -> tuple[float, SpectralFeatures]:
    samples = stream.read().samples
    return samples.size / SAMPLE_RATE, measure_features(samples)


def _mean(measured: Sequence[SpectralFeatures]) -> SpectralFeatures:
    dumps = [each.model_dump() for each in measured]
    return SpectralFeatures(
        **{
            name: np.mean([each[name] for each in dumps], axis=0).round(5).tolist()
            for name in SpectralFeatures.model_fields
        }
    )
