"""`POST /classify/{task}`: what is in this recording?"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.api import parameters, problems, uploads
from app.api import sse as events
from app.api.state import ServiceDependency
from earshot.schemas import Classification
from app.inference.classifier import OnProgress
from app.inference.recognition import Wanted

router = APIRouter(tags=["classify"])

_OK: dict[str, Any] = {
    "description": "What is in the recording, as JSON or, where `Accept` names `text/event-stream`,"
    " as Server-Sent Events: an event `progress` after each block of clips, then one `answer` with "
    "the same JSON, or one `error` with the problem. What is wrong before there is any progress "
    "is answered with the problem's own status",
    "content": events.CONTENT,
}


@router.post(
    "/classify/{task}",
    response_model=Classification,
    response_model_exclude_defaults=True,
    openapi_extra={"requestBody": uploads.REQUEST_BODY},
    responses={200: _OK, **problems.of_a_checkpoint(*problems.OF_A_FILE)},
)
async def classify(
    request: Request,
    service: ServiceDependency,
    task: parameters.Task,
    window: parameters.Window = "hann",
    top_k: parameters.TopK = 3,
    hop: Annotated[
        float | None,
        Query(
            ge=0.25,
            le=60,
            description="seconds between the clips that a long recording is cut into, at most "
            "their length (default: half of it)",
        ),
    ] = None,
    segment: Annotated[
        float,
        Query(ge=0, le=3600, description="seconds of the shortest segment in the timeline"),
    ] = 0.0,
) -> Classification | Response:
    """Name the emotion in a voice, or the sound of a street.

    Send one recording: in the multipart field `file`, or as the whole body with a content
    type of `audio/*`, `video/*` or `application/octet-stream`. The probabilities are
    calibrated: of all answers given with 0.8, about eight in ten should be right.
    """

    async def work(on_progress: OnProgress | None) -> Classification:
        with service.admitted() as place:
            classifier = await service.models.get(task, window)
            data = await uploads.read_upload(request, place, service.settings.max_upload_bytes)
            wanted = Wanted(top_k, hop, segment)
            recognising = service.recognise(classifier, data, wanted, on_progress)
            return await service.answer(request, recognising)

    if events.wanted_by(request):
        return events.answer(request, service.drain, work)
    return await work(None)
