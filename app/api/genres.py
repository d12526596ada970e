"""`GET /genres` and `GET /recording`: the library of example recordings."""

import mimetypes
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from app.api import problems, schemas
from app.api.state import ServiceDependency

router = APIRouter(tags=["genres"])

_SOUND = {"audio/*": {"schema": {"type": "string", "format": "binary"}}}


@router.get("/genres")
async def genres(service: ServiceDependency) -> schemas.GenreList:
    """List the genres and the recordings of each."""
    found = await service.compute(service.genres.titles)
    return schemas.GenreList(
        genres=[schemas.Genre(genre=genre, clips=clips) for genre, clips in found.items()]
    )


@router.get(
    "/recording",
    response_class=FileResponse,
    responses={
        200: {"description": "The recording, as it is in the library", "content": _SOUND},
        **problems.responses(HTTPStatus.UNPROCESSABLE_ENTITY),
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
    return FileResponse(path, media_type=media_type or "application/octet-stream")
