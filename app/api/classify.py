"""`POST /classify/{task}`: what is in this recording?"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from app.api import problems
from app.api.state import ServiceDependency
from app.api.uploads import FIELD, read_file
from app.audio.windows import WindowName
from app.checkpoints.labels import TaskName
from app.inference.answers import Classification
from app.inference.recognition import recognise

router = APIRouter(tags=["classify"])

_UPLOAD = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "string",
                        "format": "binary",
                        "description": "WAV, FLAC, AIFF, Ogg, MP3, M4A, MP4, AAC or WebM",
                    }
                },
            }
        }
    },
}


@router.post(
    "/classify/{task}",
    response_model_exclude_defaults=True,
    openapi_extra={"requestBody": _UPLOAD},
    responses=problems.responses(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def classify(
    request: Request,
    service: ServiceDependency,
    task: Annotated[TaskName, Path(description="what to listen for")],
    window: Annotated[
        WindowName, Query(description="analysis window of the checkpoint that answers")
    ] = "hann",
    top_k: Annotated[int, Query(ge=1, le=100, description="labels in `ranked`")] = 3,
) -> Classification:
    """Name the emotion in a voice, or the sound of a street.

    Send one recording in the multipart field `file`. The probabilities are calibrated:
    of all answers given with 0.8, about eight in ten should be right.
    """
    classifier = service.models.get(task, window)
    data = await read_file(request, service.settings.max_upload_bytes)
    return await service.compute(
        recognise, classifier, data, max_seconds=service.settings.max_seconds, top_k=top_k
    )
