"""`GET /genres` and `GET /recording`: the library of music, in numbers and to be heard."""

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
from earshot import schemas
from app.api.state import ServiceDependency
from app.audio.stft import power_spectrogram
from app.decoding.errors import AudioError
from app.decoding.recording import read_recording
from app.music import spectral_features
from app.music.library import LONGEST_SECONDS, GenreLibrary, title_of
from app.rendering.spectrogram import HOP_LENGTH, N_FFT, SAMPLE_RATE

router = APIRouter(tags=["spectrogram"])

_CACHED_RECORDINGS = 4096
_NO_RANGE = "the header Range names no part of the recording"
_SOUND = {"audio/*": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/genres",
    response_model_exclude_none=True,
    responses=problems.responses("invalid-parameter", "overloaded", "draining"),
)
async def genres(
    service: ServiceDependency,
    limit: Annotated[
        int, Query(ge=1, le=100, description="recordings that are measured of each genre")
    ] = 10,
) -> schemas.GenreList:
    """List each genre with its recordings and what was measured of them.

    Measured through the Hann window, anew only when a file has changed.
    """
    with service.admitted():
        return await service.compute(_genres, service.genres, limit)


@router.get(
    "/recording",
    response_class=FileResponse,
    responses={
        200: {"description": "The recording, as it is in the library", "content": _SOUND},
        206: {"description": "The part of it that the header Range asks for", "content": _SOUND},
        **problems.of_http(HTTPStatus.BAD_REQUEST, _NO_RANGE),
        **problems.of_http(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, _NO_RANGE),
        **problems.responses("invalid-parameter", "draining"),
    },
)
async def recording(
    service: ServiceDependency,
    genre: Annotated[
        str, Query(description="a folder of the library", examples=["jazz", "hip-hop"])
    ],
    clip: Annotated[int, Query(ge=1, description="which of the genre's recordings")] = 1,
) -> FileResponse:
    """Play the recording whose picture `GET /spectrogram` draws."""
    path = await service.compute(service.genres.find, genre, clip)
    media_type, _ = mimetypes.guess_type(path.name)
    return _Recording(path, media_type=media_type or "application/octet-stream")


class _Recording(FileResponse):
    """A file, or the range of it that is asked for; a range that is not there is a problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; raises HTTPException before anything is sent."""

        async def checked(message: Message) -> None:
            status = message.get("status", HTTPStatus.OK)
            if status >= HTTPStatus.BAD_REQUEST:
                size = Headers(raw=message["headers"]).get("content-range")
                raise HTTPException(status, _NO_RANGE, {"Content-Range": size} if size else None)
            await send(message)

        await super().__call__(scope, receive, checked)


def _genres(library: GenreLibrary, limit: int) -> schemas.GenreList:
    found = []
    for name in library.genres():
        paths = library.recordings(name)
        recordings = [
            _recording(clip, path, path.stat().st_mtime_ns)
            for clip, path in enumerate(paths[:limit], start=1)
        ]
        measured = [each.spectral_features for each in recordings if each.spectral_features]
        mean = _mean(measured) if measured else None
        found.append(schemas.Genre(genre=name, clips=len(paths), recordings=recordings, mean=mean))
    return schemas.GenreList(genres=found)


@lru_cache(maxsize=_CACHED_RECORDINGS)
def _recording(clip: int, path: Path, _modified_ns: int) -> schemas.GenreTrack:
    title = title_of(path)
    try:
        samples = read_recording(
            path.read_bytes(), sample_rate=SAMPLE_RATE, max_seconds=LONGEST_SECONDS
        ).samples
    except AudioError as error:
        return schemas.GenreTrack(clip=clip, title=title, error=str(error))
    power = power_spectrogram(samples, n_fft=N_FFT, hop_length=HOP_LENGTH, window="hann")
    spectral_shape = spectral_features.spectral_shape(power)
    mel_db = spectral_features.mel_spectrogram_db(power)
    return schemas.GenreTrack(
        clip=clip,
        title=title,
        seconds=round(samples.size / SAMPLE_RATE, 3),
        spectral_features=schemas.SpectralFeatures(
            centroid=round(spectral_shape.centroid, 1),
            bandwidth=round(spectral_shape.bandwidth, 1),
            rolloff=round(spectral_shape.rolloff, 1),
            flatness=round(spectral_shape.flatness, 5),
            contrast=round(spectral_shape.contrast, 2),
            zero_crossing_rate=round(spectral_features.zero_crossing_rate(samples), 1),
            tempo=round(spectral_features.tempo(mel_db), 1),
            mfcc=[round(float(each), 2) for each in spectral_features.mfcc(mel_db)],
        ),
    )


def _mean(measured: Sequence[schemas.SpectralFeatures]) -> schemas.SpectralFeatures:
    dumps = [each.model_dump() for each in measured]
    return schemas.SpectralFeatures(
        **{
            name: np.mean([each[name] for each in dumps], axis=0).round(5).tolist()
            for name in schemas.SpectralFeatures.model_fields
        }
    )
