"""`GET` and `POST /spectrogram`: pictures of music of a genre, or of one's own recording."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from numpy.typing import NDArray

from app.api import problems
from app.api.cache import LruCache
from app.api.entity_tags import matches_etag
from app.api.rendering import (
    SPECTROGRAM_RESPONSE,
    SpectrogramQuery,
    SpectrogramQueryDependency,
    render,
)
from app.api.state import AppState, StateDependency
from app.api.uploads import RECORDING_BODY, accept_upload
from app.audio.stft import WINDOWS, WindowName
from app.decoding.errors import AudioError
from app.decoding.recording import MonoStream
from app.music.library import GenreError, GenreLibrary, Track
from app.rendering.spectrogram import SAMPLE_RATE, Panel, Spectrogram, compute_spectrogram

router = APIRouter(tags=["spectrogram"])

Comparison = Literal["windows", "genres"]

_CACHED_PICTURES = 64
# Pixels.
_NARROWEST_PANEL = 20


@router.get(
    "/spectrogram",
    summary="Draw music of the gallery",
    response_class=Response,
    responses={
        200: SPECTROGRAM_RESPONSE,
        304: {"description": "The answer is the one whose ETag was sent"},
        **problems.openapi_responses(
            *problems.AUDIO_PROBLEMS,
            *("invalid-parameter", "overloaded", "deadline", "draining"),
        ),
    },
)
async def genre_spectrogram(
    request: Request,
    state: StateDependency,
    query: SpectrogramQueryDependency,
    genre: Annotated[
        str | None,
        Query(
            description="a folder of the gallery; required unless genres are compared",
            examples=["jazz", "hip-hop"],
        ),
    ] = None,
    track: Annotated[int, Query(ge=1, description="which of the genre's recordings")] = 1,
    compare: Annotated[
        Comparison | None,
        Query(description="side by side: the recording through each window, or every genre"),
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Show the spectrogram of a genre's example recording."""
    if genre is None and compare != "genres":
        raise problems.invalid_parameter("the query parameter genre is required")
    async with state.admit_picture(request):
        subjects = tuple(
            await state.draw_in_thread(_subjects, state.genres, genre, track, compare, query)
        )
        content = _pictures.get((subjects, query)) or await _render_subjects(state, subjects, query)
        if query.format not in ("json", "npy"):  # which take more memory, and less time
            _pictures.put((subjects, query), content)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=3600"}
    if if_none_match is not None and matches_etag(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=query.media_type, headers=headers)


@router.post(
    "/spectrogram",
    summary="Draw your recording",
    response_class=Response,
    openapi_extra={"requestBody": RECORDING_BODY},
    responses={
        200: SPECTROGRAM_RESPONSE,
        **problems.openapi_responses(*problems.FILE_PROBLEMS, "silent"),
    },
)
async def spectrogram(
    request: Request,
    state: StateDependency,
    query: SpectrogramQueryDependency,
    compare: Annotated[
        Literal["windows"] | None, Query(description="side by side, through each window")
    ] = None,
) -> Response:
    """Show the spectrogram of one recording, sent as to `/classify`, up to 11 kHz."""
    windows = (query.window,) if compare is None else WINDOWS

    async with accept_upload(request, state, state.picture_admission) as upload:
        data = await upload.read_recording()
        async with (
            upload.deadline(),
            state.render_reader.open(data, sample_rate=SAMPLE_RATE) as stream,
        ):
            content = await state.draw_in_thread(_render_recording, stream, windows, query)
    return Response(content, media_type=query.media_type)


def _render_recording(
    stream: MonoStream, windows: tuple[WindowName, ...], query: SpectrogramQuery
) -> bytes:
    samples = stream.read().samples
    columns = query.width // len(windows)
    panels = [
        Panel(f"{window} window", _spectrogram(samples, window, columns, query))
        for window in windows
    ]
    return render(panels, query)


@dataclass(frozen=True)
class _Subject:
    """A recording of the gallery as it is to be shown."""

    track: Track
    window: WindowName
    title: str


_pictures: LruCache[tuple[tuple[_Subject, ...], SpectrogramQuery], bytes] = LruCache(
    _CACHED_PICTURES
)


def _subjects(
    library: GenreLibrary,
    genre: str | None,
    number: int,
    compare: Comparison | None,
    query: SpectrogramQuery,
) -> list[_Subject]:
    """Find what is to be shown; raises GenreError or TrackError where that is not there."""
    window = query.window
    if genre is None or compare == "genres":
        genres = library.list_genres()
        if not genres:
            raise GenreError("the gallery has no genres to compare")
        if len(genres) > (most := query.width // _NARROWEST_PANEL):
            raise GenreError(
                f"{query.width} pixels have room for {most} genres, the gallery has "
                f"{len(genres)}; ask for a wider picture, or for one genre"
            )
        return [_Subject(library.find_track(name, number), window, name) for name in genres]
    track = library.find_track(genre, number)
    if compare == "windows":
        return [_Subject(track, each, f"{track.title} ({each})") for each in WINDOWS]
    return [_Subject(track, window, f"{genre}: {track.title} ({window} window)")]


async def _render_subjects(
    state: AppState, subjects: Sequence[_Subject], query: SpectrogramQuery
) -> bytes:
    """Render recordings side by side, of which one at a time is in memory."""
    panels: list[Panel] = []
    for track, shown in groupby(subjects, lambda subject: subject.track):
        try:
            async with state.open_track(track) as stream:
                panels += await state.draw_in_thread(
                    _make_panels, stream, list(shown), query.width // len(subjects), query
                )
        except AudioError as error:
            raise type(error)(f"{track.genre}, track {track.number}: {error}") from error
    return await state.draw_in_thread(render, panels, query)


def _make_panels(
    stream: MonoStream, subjects: Sequence[_Subject], columns: int, query: SpectrogramQuery
) -> list[Panel]:
    samples = stream.read().samples
    return [
        Panel(each.title, _spectrogram(samples, each.window, columns, query)) for each in subjects
    ]


def _spectrogram(
    samples: NDArray[np.float32], window: WindowName, columns: int, query: SpectrogramQuery
) -> Spectrogram:
    return compute_spectrogram(samples, window=window, columns=columns, top_db=query.top_db)
