"""`POST /classify/{task}/batch`: many recordings in one request, answered as they come."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.api import parameters, problems, uploads
from app.api.admission import Place
from app.api.multipart import FilePart
from earshot.schemas import Problem
from app.api.state import Service, ServiceDependency
from app.api.streamed import Streamed
from earshot.schemas import Classification
from app.inference.classifier import Classifier
from app.inference.recognition import Wanted

log = logging.getLogger(__name__)

router = APIRouter(tags=["classify"])

_NDJSON = "application/x-ndjson"
# Files of one request that are worked on at the same time: the others must get their turn.
_AT_ONCE = 4


class BatchLine(BaseModel):
    """What became of one file: an answer, or a problem of its own."""

    index: int | None = Field(
        description="place of the file in the request, from 0; null for the request itself"
    )
    filename: str | None = Field(default=None, description="as it was sent")
    answer: Classification | None = None
    problem: Problem | None = None


_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One line of JSON for each file, in order of completion: its `index`, its "
        "`filename`, and an `answer` as of `/classify/{task}` or a `problem`. When the request "
        "itself goes wrong, the files before are answered and the last line has its problem",
        "content": {
            _NDJSON: {
                "schema": {"type": "string"},
                "example": '{"index":0,"filename":"dog.wav","answer":{"task":"urban-sound",...}}',
            }
        },
    }
}


@router.post(
    "/classify/{task}/batch",
    response_class=Streamed,
    status_code=HTTPStatus.OK,
    openapi_extra={"requestBody": uploads.FILES_BODY},
    responses=_LINES
    | problems.of_a_checkpoint("unsupported-media-type", "invalid-parameter", "draining"),
)
async def classify_batch(
    request: Request,
    service: ServiceDependency,
    task: parameters.Task,
    window: parameters.Window = "hann",
    top_k: parameters.TopK = 3,
) -> Response:
    """Classify many recordings, each in a multipart field `file` of its own.

    Answers are sent as they are ready, while the rest is still coming in, one line of JSON
    each. A file that cannot be answered has its own problem in its line.
    """
    uploads.boundary_of(request)
    classifier = await service.models.get(task, window)
    lines = _answers(request, service, classifier, Wanted(top_k))
    return Streamed(lines, media_type=_NDJSON)


async def _answers(
    request: Request, service: Service, classifier: Classifier, wanted: Wanted
) -> AsyncGenerator[bytes, None]:
    lines: asyncio.Queue[BatchLine | None] = asyncio.Queue()
    work = asyncio.create_task(_work(request, service, classifier, wanted, lines))
    try:
        while (line := await lines.get()) is not None:
            yield line.model_dump_json(exclude_defaults=True).encode() + b"\n"
    finally:
        work.cancel()


async def _work(
    request: Request,
    service: Service,
    classifier: Classifier,
    wanted: Wanted,
    lines: asyncio.Queue[BatchLine | None],
) -> None:
    """Put a line for each file as it is answered, and None at the end."""
    settings = service.settings
    free = asyncio.Semaphore(_AT_ONCE)
    trouble: problems.ProblemError | None = None

    async def answer(index: int, file: FilePart, place: Place) -> None:
        lines.put_nowait(await _answer(index, file, service, classifier, wanted))
        place.hold(-len(file.content or b""))
        free.release()

    try:
        # The place is left when all files are answered.
        async with AsyncExitStack() as held, asyncio.TaskGroup() as tasks:
            # Inside the group: whatever is wrong with the request, the files before are answered.
            try:
                place = held.enter_context(service.admitted())
                index = 0
                async for file in uploads.read_files(
                    request,
                    place,
                    limit=settings.max_upload_bytes,
                    body_limit=settings.max_batch_bytes,
                ):
                    if index >= settings.max_batch_files:
                        raise _too_many(settings.max_batch_files)
                    await free.acquire()
                    tasks.create_task(answer(index, file, place))
                    index += 1
            except problems.ProblemError as error:
                trouble = error
        if trouble is not None:
            request.state.problem = problems.reason_of(trouble.problem)
            lines.put_nowait(BatchLine(index=None, problem=trouble.problem))
    finally:
        lines.put_nowait(None)


async def _answer(
    index: int, file: FilePart, service: Service, classifier: Classifier, wanted: Wanted
) -> BatchLine:
    line = BatchLine(index=index, filename=file.filename)
    try:
        answer = await _recognise(file, service, classifier, wanted)
    except Exception as error:  # whatever it is, the other files are answered
        problem = problems.refusal_of(error).problem
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("file %d of a batch failed", index, exc_info=error)
        service.metrics.refused(problems.reason_of(problem))
        return line.model_copy(update={"problem": problem})
    return line.model_copy(update={"answer": answer})


async def _recognise(
    file: FilePart, service: Service, classifier: Classifier, wanted: Wanted
) -> Classification:
    settings = service.settings
    if file.content is None:
        raise uploads.too_large(settings.max_upload_bytes)
    try:
        async with asyncio.timeout(settings.request_seconds):
            return await service.recognise(classifier, file.content, wanted)
    except TimeoutError:
        raise problems.too_late(settings.request_seconds) from None


def _too_many(limit: int) -> problems.ProblemError:
    return problems.ProblemError(
        "too-many-files",
        f"at most {limit} files are accepted in one request; send the rest in another",
    )
