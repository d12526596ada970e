"""`POST /classify/{task}/batch`: classify many recordings in one request."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from app.api import parameters, problems
from app.api.multipart import FilePart
from app.api.sse import ChunkedResponse, names_media_type
from app.api.state import AppState, StateDependency
from app.api.uploads import (
    FILES_BODY,
    Upload,
    accept_upload,
    file_too_large,
    multipart_boundary,
    require_plain,
)
from app.checkpoints.store import key_of
from app.inference.classifier import Classifier, ClassifyOptions
from earshot.schemas import BatchLine, Classification

log = logging.getLogger(__name__)

router = APIRouter(tags=["classify"])

_NDJSON, _TEXT = "application/x-ndjson", "text/plain"
# Files of one request that are worked on at the same time: the others must get their turn.
_CONCURRENT_FILES = 4

_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One line of JSON for each file, in order of completion: its `index`, its "
        "`filename`, and a `result` as of `/classify/{task}` or a `problem`. When the request "
        "itself goes wrong, the files before are answered and the last line has its problem. The "
        "same as `text/plain` where `Accept` names it, for who knows no NDJSON",
        "content": {
            _TEXT: {"schema": {"type": "string"}},
            _NDJSON: {
                "schema": {"type": "string"},
                "example": '{"index":0,"filename":"dog.wav","result":{"task":"urban-sound",...}}',
            },
        },
    }
}


@router.post(
    "/classify/{task}/batch",
    summary="Classify many recordings",
    response_class=ChunkedResponse,
    status_code=HTTPStatus.OK,
    openapi_extra={"requestBody": FILES_BODY},
    responses=_LINES
    | problems.checkpoint_responses("unsupported-media-type", "invalid-parameter", "draining"),
)
async def classify_batch(
    request: Request,
    state: StateDependency,
    key: parameters.ChosenCheckpoint,
    top_k: parameters.TopK = 3,
) -> Response:
    """Classify many recordings, each in a multipart field `file` of its own.

    Answers are sent as they are ready, while the rest is still coming in, one line of JSON
    each. A file that cannot be classified has its own problem in its line.
    """
    require_plain(request)
    multipart_boundary(request)
    classifier = await state.registry.get(key)
    batch = _Batch(request, state, classifier, ClassifyOptions(top_k))
    is_text = names_media_type(request, _TEXT) and not names_media_type(request, _NDJSON)
    return ChunkedResponse(batch.lines(), media_type=_TEXT if is_text else _NDJSON)


@dataclass
class _Batch:
    """The files of one request."""

    request: Request
    state: AppState
    classifier: Classifier
    options: ClassifyOptions
    _lines: "asyncio.Queue[BatchLine | None]" = field(default_factory=asyncio.Queue)

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """Yield a line for each file as it is answered."""
        work = asyncio.create_task(self._work())
        try:
            while (line := await self._lines.get()) is not None:
                yield line.model_dump_json(exclude_defaults=True).encode() + b"\n"
        finally:
            work.cancel()

    async def _work(self) -> None:
        """Put a line for each file as it is answered, and None at the end."""
        try:
            async with accept_upload(self.request, self.state) as upload:
                await self._classify_files(upload)
        except problems.ProblemError as error:
            self.request.state.problem = problems.problem_code(error.problem)
            self._lines.put_nowait(BatchLine(index=None, problem=error.problem))
        except ClientDisconnect:
            pass  # nobody reads the lines
        finally:
            self._lines.put_nowait(None)

    async def _classify_files(self, upload: Upload) -> None:
        """Classify the files; raises the error of the request once those before are answered."""
        limit = self.state.settings.max_batch_files
        free = asyncio.Semaphore(_CONCURRENT_FILES)
        request_error: Exception | None = None

        async def answer(index: int, file: FilePart) -> None:
            self._lines.put_nowait(await self._classify_file(index, file))
            upload.release(file)
            free.release()

        async with asyncio.TaskGroup() as tasks:
            # Inside the group: whatever is wrong with the request, the files before are answered.
            try:
                index = 0
                async with aclosing(upload.read_files()) as files:
                    async for file in files:
                        if index >= limit:
                            raise _too_many_files(limit)
                        await free.acquire()
                        tasks.create_task(answer(index, file))
                        del file  # it is the task's
                        index += 1
            except (problems.ProblemError, ClientDisconnect) as error:
                request_error = error
        try:
            if request_error is not None:
                raise request_error
        finally:
            del request_error  # it knows these variables: a cycle that would keep the files

    async def _classify_file(self, index: int, file: FilePart) -> BatchLine:
        line = BatchLine(index=index, filename=file.filename)
        try:
            result = await self._classify_content(file.content)
        except Exception as error:  # whatever it is, the other files are answered
            problem = problems.to_problem_error(error).problem
            if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                log.error("file %d of a batch failed", index, exc_info=error)
            self.state.metrics.count_problem(problems.problem_code(problem))
            return line.model_copy(update={"problem": problem})
        self.state.metrics.count_prediction(
            *key_of(self.classifier.card), result.label, result.audio.seconds
        )
        return line.model_copy(update={"result": result})

    async def _classify_content(self, content: bytes | None) -> Classification:
        settings = self.state.settings
        if content is None:
            raise file_too_large(settings.max_upload_bytes)
        try:
            async with asyncio.timeout(settings.request_timeout_seconds):
                return await self.classifier.classify_recording(content, self.options)
        except TimeoutError:
            raise problems.deadline_exceeded(settings.request_timeout_seconds) from None


def _too_many_files(limit: int) -> problems.ProblemError:
    return problems.ProblemError(
        "too-many-files",
        f"at most {limit} files are accepted in one request; send the rest in another",
    )
