"""Answers that are sent while they are made: chunks, and Server-Sent Events."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api import problems
from app.api.middleware.drain import DrainState, draining
from app.inference.classifier import OnProgress
from earshot.schemas import Classification, Progress

log = logging.getLogger(__name__)

MEDIA_TYPE = EventSourceResponse.media_type
_HEADERS = {
    "Cache-Control": "no-store",
    # nginx would hold the events back until there are enough of them.
    "X-Accel-Buffering": "no",
}
_EXAMPLE = """\
event: progress
data: {"seconds":18.0,"total":60.0}

event: progress
data: {"seconds":60.0,"total":60.0}

event: result
data: {"task":"urban-sound","label":"siren","probability":0.97,...}

"""
SSE_CONTENT: dict[str, Any] = {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}
"""the OpenAPI entry of an answer in events"""


class ChunkedResponse(Response):
    """Sends chunks as they are made.

    Starlette's own streaming response would read what is left of the request's body itself, to
    see whether the client is still there. And it begins at once, where this one waits for the
    first chunk: an error before it is still answered with a status of its own.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Make nothing yet; `chunks` are closed at the end in any case."""
        super().__init__(media_type=media_type, headers=headers)
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send all chunks."""
        async with aclosing(self._chunks) as chunks:
            first = await anext(chunks, b"")
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def accepts_sse(request: Request) -> bool:
    """Return whether a request asks for events: its header `Accept` names them."""
    return names_media_type(request, MEDIA_TYPE)


def names_media_type(request: Request, media_type: str) -> bool:
    """Return whether the header `Accept` of a request names a media type; `*/*` names none."""
    ranges = ",".join(request.headers.getlist("accept")).split(",")
    return any(each.partition(";")[0].strip().lower() == media_type for each in ranges)


def sse_response(
    request: Request, drain: DrainState, work: Callable[[OnProgress], Awaitable[Classification]]
) -> Response:
    """Answer with an event `progress` for each progress of `work`, and a `result`.

    An error before any progress is raised, and so answered as everywhere; later it is the last
    event, an `error` that holds the problem.
    """
    return ChunkedResponse(_events(request, drain, work), media_type=MEDIA_TYPE, headers=_HEADERS)


async def _events(
    request: Request, drain: DrainState, work: Callable[[OnProgress], Awaitable[Classification]]
) -> AsyncGenerator[bytes, None]:
    progresses: asyncio.Queue[Progress | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(progresses.put_nowait))
    task.add_done_callback(lambda _: progresses.put_nowait(None))
    begun = False
    try:
        while (progress := await progresses.get()) is not None:
            yield _event("progress", progress.model_dump_json())
            begun = True
        yield _event("result", task.result().model_dump_json(exclude_defaults=True))
    except ClientDisconnect:
        if not begun:
            raise
    except asyncio.CancelledError:
        if not (begun and drain.active):
            raise
        yield _error_event(request, draining("there was no answer before the server had to stop"))
    except Exception as error:
        if not begun:
            raise
        yield _error_event(request, error)
    finally:
        task.cancel()


def _error_event(request: Request, error: Exception) -> bytes:
    problem = problems.to_problem_error(error).problem
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("an answer failed after it had begun", exc_info=error)
    return _event("error", json.dumps(problems.problem_body(request, problem)))


def _event(name: str, data: str) -> bytes:
    return format_sse_event(event=name, data_str=data)
