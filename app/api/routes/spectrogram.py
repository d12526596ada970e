"""`GET` and `POST /spectrogram`: what does music of a genre, or one's own recording, look like?"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from numpy.typing import NDArray

from app.api import problems
from app.api.rendering import SPECTROGRAMS, Look, LookDependency, show
from app.api.state import ServiceDependency
from app.api.uploads import REQUEST_BODY, read_upload
from app.audio.stft import WINDOWS, WindowName
from app.decoding.recording import AudioLimits, read_recording
from app.decoding.source import AudioOpener
from app.music.library import LONGEST_SECONDS, GenreError, GenreLibrary, title_of
from app.rendering.spectrogram import SAMPLE_RATE, spectrogram
from app.rendering.style import Panel

router = APIRouter(tags=["spectrogram"])

_CACHED_PICTURES = 64


@router.get(
    "/spectrogram",
    response_class=Response,
    responses={
        200: SPECTROGRAMS,
        304: {"description": "The answer is the one whose ETag was sent"},
        **problems.responses(
            *("unsupported-format", "corrupt", "silent", "invalid-parameter"),
            *("overloaded", "draining"),
        ),
    },
)
async def of_genre(
    service: ServiceDependency,
    look: LookDependency,
    genre: Annotated[
        str | None,
        Query(
            description="a folder of the library; required unless genres are compared",
            examples=["jazz", "hip-hop"],
        ),
    ] = None,
    clip: Annotated[int, Query(ge=1, description="which of the genre's recordings")] = 1,
    compare: Annotated[
        Literal["windows", "genres"] | None,
        Query(description="side by side: the recording through each window, or every genre"),
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Show the spectrogram of a genre's example recording."""
    with service.admitted():
        if compare == "genres":
            work = service.compute(_genres, service.genres, clip, look)
        elif genre is None:
            raise problems.invalid_parameter("the query parameter genre is required")
        elif compare == "windows":
            work = service.compute(_genre_through_windows, service.genres, genre, clip, look)
        else:
            work = service.compute(_genre, service.genres, genre, clip, look)
        content = await work
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "public, max-age=3600"}
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=look.media_type, headers=headers)


@router.post(
    "/spectrogram",
    response_class=Response,
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={
        200: SPECTROGRAMS,
        **problems.responses(*problems.OF_A_FILE, "silent"),
    },
)
async def of_recording(
    request: Request,
    service: ServiceDependency,
    look: LookDependency,
    compare: Annotated[
        Literal["windows"] | None, Query(description="side by side, through each window")
    ] = None,
) -> Response:
    """Show the spectrogram of one recording, sent as to `/classify`, up to 11 kHz."""
    settings = service.settings
    windows = (look.window,) if compare is None else WINDOWS
    with service.admitted() as place:
        data = await read_upload(request, place, settings.max_upload_bytes)
        draw = partial(
            _recording, data, settings.max_picture_seconds, settings.bounds, windows, look
        )
        work = service.decoding.with_ffmpeg(partial(service.compute, draw))
        content = await service.answer(request, work)
    return Response(content, media_type=look.media_type)


def _recording(
    data: bytes,
    max_seconds: float,
    bounds: AudioLimits,
    windows: tuple[WindowName, ...],
    look: Look,
    open_with_ffmpeg: AudioOpener,
) -> bytes:
    samples = read_recording(
        data,
        sample_rate=SAMPLE_RATE,
        max_seconds=max_seconds,
        bounds=bounds,
        open_with_ffmpeg=open_with_ffmpeg,
    ).samples
    columns = look.width // len(windows)
    return show(
        [_panel(samples, window, f"{window} window", columns, look) for window in windows], look
    )


@dataclass(frozen=True)
class _Subject:
    """A recording of the library as it is to be seen."""

    path: Path
    modified_ns: int
    window: WindowName
    title: str


def _genre(library: GenreLibrary, genre: str, clip: int, look: Look) -> bytes:
    path = library.find(genre, clip)
    title = f"{genre}: {title_of(path)} ({look.window} window)"
    return _library((_subject(path, look.window, title),), look)


def _genre_through_windows(library: GenreLibrary, genre: str, clip: int, look: Look) -> bytes:
    path = library.find(genre, clip)
    subjects = [_subject(path, window, f"{title_of(path)} ({window})") for window in WINDOWS]
    return _library(tuple(subjects), look)


def _genres(library: GenreLibrary, clip: int, look: Look) -> bytes:
    paths = [(genre, library.find(genre, clip)) for genre in library.genres()]
    if not paths:
        raise GenreError("the library has no genres to compare")
    return _library(tuple(_subject(path, look.window, genre) for genre, path in paths), look)


def _subject(path: Path, window: WindowName, title: str) -> _Subject:
    return _Subject(path, path.stat().st_mtime_ns, window, title)


def _library(subjects: tuple[_Subject, ...], look: Look) -> bytes:
    # Numbers take more memory than pictures, and less time.
    draw = _show if look.format in ("json", "npy") else _drawn
    return draw(subjects, look)


@lru_cache(maxsize=_CACHED_PICTURES)
def _drawn(subjects: tuple[_Subject, ...], look: Look) -> bytes:
    """The picture, drawn anew only for another question or when a file has changed."""
    return _show(subjects, look)


def _show(subjects: tuple[_Subject, ...], look: Look) -> bytes:
    samples = {path: _samples(path) for path in {subject.path for subject in subjects}}
    columns = look.width // len(subjects)
    return show(
        [
            _panel(samples[subject.path], subject.window, subject.title, columns, look)
            for subject in subjects
        ],
        look,
    )


def _samples(path: Path) -> NDArray[np.float32]:
    return read_recording(
        path.read_bytes(), sample_rate=SAMPLE_RATE, max_seconds=LONGEST_SECONDS
    ).samples


def _panel(
    samples: NDArray[np.float32], window: WindowName, title: str, columns: int, look: Look
) -> Panel:
    shown = spectrogram(
        samples,
        window=window,
        columns=columns,
        top_db=look.top_db,
    )
    return Panel(title, shown)


def _matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison, as RFC 9110, section 13.1.2, wants it."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or etag in tags
