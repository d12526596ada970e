"""`POST /classify/{task}`: what is in this recording?"""

from http import HTTPStatus
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request

from app.api import problems, schemas
from app.api.state import ServiceDependency
from app.api.uploads import FIELD, read_file
from app.audio.windows import WindowName
from app.checkpoints.card import Card
from app.checkpoints.labels import TaskName
from app.inference.classifier import Answer

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
    response_model_exclude_none=True,
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
) -> schemas.Classification:
    """Name the emotion in a voice, or the sound of a street.

    Send one recording in the multipart field `file`. The probabilities are calibrated:
    of all answers given with 0.8, about eight in ten should be right.
    """
    with service.admitted():
        classifier = await service.models.get(task, window)
        data = await read_file(request, service.settings.max_upload_bytes)
        hearing = classifier.classify(
            data, max_seconds=service.settings.max_seconds, on_thread=service.compute
        )
        return _describe(classifier.card, await service.answer(request, hearing), top_k)


def _describe(card: Card, answer: Answer, top_k: int) -> schemas.Classification:
    order = np.argsort(answer.probabilities)[::-1][:top_k]
    ranked = [
        schemas.RankedLabel(label=card.labels[i], probability=round(float(p), 4))
        for i, p in zip(order, answer.probabilities[order], strict=True)
    ]
    return schemas.Classification(
        task=card.task,
        label=ranked[0].label,
        probability=ranked[0].probability,
        ranked=ranked,
        clip=schemas.Clip(
            seconds=round(answer.seconds, 3),
            sample_rate=answer.info.sample_rate,
            channels=answer.info.channels,
            format=answer.info.format,
        ),
        checkpoint=schemas.CheckpointName(
            task=card.task, window=card.front_end.window, version=card.version
        ),
        segments=_segments(card, answer),
    )


def _segments(card: Card, answer: Answer) -> list[schemas.Segment] | None:
    if len(answer.clip_probabilities) == 1:
        return None
    return [
        schemas.Segment(
            start=round(start, 3),
            end=round(start + card.front_end.clip_seconds, 3),
            label=card.labels[int(probabilities.argmax())],
            probability=round(float(probabilities.max()), 4),
        )
        for start, probabilities in zip(answer.clip_starts, answer.clip_probabilities, strict=True)
    ]
