"""`POST /classify/{task}`: classify one recording."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.api import parameters, problems
from app.api.sse import SSE_CONTENT, accepts_sse, sse_response
from app.api.state import StateDependency
from app.api.uploads import RECORDING_BODY, accept_upload
from app.inference.classifier import ClassifyOptions, OnProgress
from earshot.schemas import Classification

router = APIRouter(tags=["classify"])

_OK: dict[str, Any] = {
    "description": "The labels of the recording, as JSON or, where `Accept` names "
    "`text/event-stream`, as Server-Sent Events: an event `progress` after each block of clips, "
    "then one `result` with the same JSON, or one `error` with the problem. An error before any "
    "progress is answered with the problem's own status",
    "content": SSE_CONTENT,
}


@router.post(
    "/classify/{task}",
    summary="Classify a recording",
    response_model=Classification,
    response_model_exclude_defaults=True,
    openapi_extra={"requestBody": RECORDING_BODY},
    responses={200: _OK, **problems.checkpoint_responses(*problems.FILE_PROBLEMS)},
)
async def classify(
    request: Request,
    state: StateDependency,
    key: parameters.ChosenCheckpoint,
    top_k: parameters.TopK = 3,
    hop_seconds: parameters.HopSeconds = None,
    min_segment_seconds: parameters.MinSegmentSeconds = 0.0,
) -> Classification | Response:
    """Classify a recording: the emotion in a voice, the sound of a street, or a task of yours.

    Send one recording: in the multipart field `file`, or as the whole body, whose content type
    is that of sound or video, or `application/octet-stream`. The probabilities are calibrated:
    of all labels given with 0.8, about eight in ten should be right.
    """
    options = ClassifyOptions(top_k, hop_seconds, min_segment_seconds)

    async def work(on_progress: OnProgress | None) -> Classification:
        async with accept_upload(request, state) as upload:
            classifier = await state.registry.get(key)
            data = await upload.read_recording()
            async with upload.deadline():
                answer = await classifier.classify_recording(data, options, on_progress)
        state.metrics.count_prediction(*key, answer.label, answer.audio.seconds)
        return answer

    if accepts_sse(request):
        return sse_response(request, state.drain, work)
    return await work(None)
