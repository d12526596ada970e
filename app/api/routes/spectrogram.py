"""`GET` and `POST /spectrogram`: pictures of music of a genre, or of one's own recording."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from numpy.typing import NDArray

from app.api import problems
from app.api.rendering import (
    SPECTROGRAM_RESPONSE,
    SpectrogramQuery,
    SpectrogramQueryDependency,
    render,
)
from app.api.state import StateDependency
from app.api.uploads import RECORDING_BODY, accept_upload
from app.audio.stft import WINDOWS, WindowName
from app.decoding.limits import AudioLimits
from app.decoding.recording import MonoStream, RecordingReader
from app.music.library import MAX_SECONDS, GenreError, GenreLibrary, track_title
from app.rendering.spectrogram import SAMPLE_RATE, Panel, Spectrogram, compute_spectrogram

router = APIRouter(tags=["spectrogram"])

_CACHED_PICTURES = 64
_READER = RecordingReader(AudioLimits(max_seconds=MAX_SECONDS))


@router.get(
    "/spectrogram",
    response_class=Response,
    responses={
        200: SPECTROGRAM_RESPONSE,
        304: {"description": "The answer is the one whose ETag was sent"},
        **problems.openapi_responses(
            *("unsupported-format", "corrupt", "silent", "invalid-parameter"),
            *("overloaded", "draining"),
        ),
    },
)
async def genre_spectrogram(
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
        Literal["windows", "genres"] | None,
        Query(description="side by side: the recording through each window, or every genre"),
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Show the spectrogram of a genre's example recording."""
    if genre is None and compare != "genres":
        raise problems.invalid_parameter("the query parameter genre is required")
    with state.admission.acquire():
        content = await state.run_in_thread(
            _render_gallery, state.genres, genre, track, compare, query
        )
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=3600"}
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=query.media_type, headers=headers)


@router.post(
    "/spectrogram",
    response_class=Response,
    openapi_extra={"requestBody": RECORDING_BODY},
    responses={
        200: SPECTROGRAM_RESPONSE,
        **problems.openapi_responses(*problems.FILE_PROBLEMS, "silent"),
    },
)
async def recording_spectrogram(
    request: Request,
    state: StateDependency,
    query: SpectrogramQueryDependency,
    compare: Annotated[
        Literal["windows"] | None, Query(description="side by side, through each window")
    ] = None,
) -> Response:
    """Show the spectrogram of one recording, sent as to `/classify`, up to 11 kHz."""
    windows = (query.window,) if compare is None else WINDOWS

    async with accept_upload(request, state) as upload:
        data = await upload.read_recording()
        async with (
            upload.deadline(),
            state.render_reader.open(data, sample_rate=SAMPLE_RATE) as stream,
        ):
            content = await state.run_in_thread(_render_recording, stream, windows, query)
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

    path: Path
    modified_ns: int
    window: WindowName
    title: str


def _render_gallery(
    library: GenreLibrary,
    genre: str | None,
    track: int,
    compare: Literal["windows", "genres"] | None,
    query: SpectrogramQuery,
) -> bytes:
    subjects = tuple(_subjects(library, genre, track, compare, query.window))
    # Numbers take more memory than pictures, and less time.
    cached = query.format not in ("json", "npy")
    return (_cached_render if cached else _render_subjects)(subjects, query)


def _subjects(
    library: GenreLibrary,
    genre: str | None,
    track: int,
    compare: Literal["windows", "genres"] | None,
    window: WindowName,
) -> list[_Subject]:
    if genre is None or compare == "genres":
        genres = library.list_genres()
        if not genres:
            raise GenreError("the gallery has no genres to compare")
        return [_subject(library.find_track(name, track), window, name) for name in genres]
    path = library.find_track(genre, track)
    title = track_title(path)
    if compare == "windows":
        return [_subject(path, each, f"{title} ({each})") for each in WINDOWS]
    return [_subject(path, window, f"{genre}: {title} ({window} window)")]


def _subject(path: Path, window: WindowName, title: str) -> _Subject:
    return _Subject(path, path.stat().st_mtime_ns, window, title)


@lru_cache(maxsize=_CACHED_PICTURES)
def _cached_render(subjects: tuple[_Subject, ...], query: SpectrogramQuery) -> bytes:
    """Return the picture, drawn anew only for another query or when a file has changed."""
    return _render_subjects(subjects, query)


def _render_subjects(subjects: tuple[_Subject, ...], query: SpectrogramQuery) -> bytes:
    samples = {
        path: _READER.read(path.read_bytes(), sample_rate=SAMPLE_RATE).samples
        for path in {subject.path for subject in subjects}
    }
    columns = query.width // len(subjects)
    panels = [
        Panel(subject.title, _spectrogram(samples[subject.path], subject.window, columns, query))
        for subject in subjects
    ]
    return render(panels, query)


def _spectrogram(
    samples: NDArray[np.float32], window: WindowName, columns: int, query: SpectrogramQuery
) -> Spectrogram:
    return compute_spectrogram(samples, window=window, columns=columns, top_db=query.top_db)


def _matches(if_none_match: str, etag: str) -> bool:
    """Compare weakly, as RFC 9110, section 13.1.2, requires."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags
