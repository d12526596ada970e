"""`POST /classify/{task}`: what is in this recording?"""

from http import HTTPStatus
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Request

from app.api import problems, schemas
from app.api.state import ServiceDependency
from app.api.uploads import REQUEST_BODY, read_file
from app.audio.clips import starts
from app.audio.recording import Recording, read_recording
from app.audio.windows import WindowName
from app.checkpoints.labels import TaskName
from app.inference.classifier import Answer, Classifier

router = APIRouter(tags=["classify"])


@router.post(
    "/classify/{task}",
    response_model_exclude_none=True,
    openapi_extra={"requestBody": REQUEST_BODY},
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
    classifier = service.models.get(task, window)
    data = await read_file(request, service.settings.max_upload_bytes)
    return await service.compute(_classify, classifier, data, service.settings.max_seconds, top_k)


def _classify(
    classifier: Classifier, data: bytearray, max_seconds: float, top_k: int
) -> schemas.Classification:
    sample_rate = classifier.card.front_end.sample_rate
    recording = read_recording(data, sample_rate=sample_rate, max_seconds=max_seconds)
    return _describe(classifier, recording, classifier.classify(recording.samples), top_k)


def _describe(
    classifier: Classifier, recording: Recording, answer: Answer, top_k: int
) -> schemas.Classification:
    card, info = classifier.card, recording.info
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
            seconds=round(recording.seconds, 3),
            sample_rate=info.sample_rate,
            channels=info.channels,
            format=info.format,
        ),
        checkpoint=schemas.CheckpointName(
            task=card.task, window=card.front_end.window, version=card.version
        ),
        segments=_segments(classifier, recording, answer),
    )


def _segments(
    classifier: Classifier, recording: Recording, answer: Answer
) -> list[schemas.Segment] | None:
    if len(answer.clip_probabilities) == 1:
        return None
    labels, front_end = classifier.card.labels, classifier.card.front_end
    first_samples = starts(
        recording.samples.size, front_end.clip_samples, front_end.clip_hop_samples
    )
    return [
        schemas.Segment(
            start=round(start / front_end.sample_rate, 3),
            end=round((start + front_end.clip_samples) / front_end.sample_rate, 3),
            label=labels[int(probabilities.argmax())],
            probability=round(float(probabilities.max()), 4),
        )
        for start, probabilities in zip(first_samples, answer.clip_probabilities, strict=True)
    ]
