"""Server-Sent Events: how far a long recording is, then what is in it."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import ClientDisconnect

from app.api import problems
from app.api.middleware.drain import Drain, draining
from app.api.streamed import Streamed
from earshot.schemas import Classification, Progress
from app.inference.classifier import OnProgress

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

event: answer
data: {"task":"urban-sound","label":"siren","probability":0.97,...}

"""
CONTENT: dict[str, Any] = {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}
"""the OpenAPI entry of an answer in events"""


def wanted_by(request: Request) -> bool:
    """Whether a request asks for events: its header `Accept` names them."""
    ranges = ",".join(request.headers.getlist("accept")).split(",")
    return any(each.partition(";")[0].strip().lower() == MEDIA_TYPE for each in ranges)


def answer(
    request: Request, drain: Drain, work: Callable[[OnProgress], Awaitable[Classification]]
) -> Response:
    """Answer with an event `progress` each time that `work` tells of some, and an `answer`.

    What goes wrong before there is any progress is raised, and so answered as everywhere; later
    it is the last event, an `error` that holds the problem.
    """
    return Streamed(_events(request, drain, work), media_type=MEDIA_TYPE, headers=_HEADERS)


async def _events(
    request: Request, drain: Drain, work: Callable[[OnProgress], Awaitable[Classification]]
) -> AsyncGenerator[bytes, None]:
    heard: asyncio.Queue[Progress | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(heard.put_nowait))
    task.add_done_callback(lambda _: heard.put_nowait(None))
    begun = False
    try:
        while (progress := await heard.get()) is not None:
            yield _event("progress", progress.model_dump_json())
            begun = True
        yield _event("answer", task.result().model_dump_json(exclude_defaults=True))
    except ClientDisconnect:
        if not begun:
            raise
    except asyncio.CancelledError:
        if not (begun and drain.active):
            raise
        yield _failed(request, draining("there was no answer before the server had to stop"))
    except Exception as error:
        if not begun:
            raise
        yield _failed(request, error)
    finally:
        task.cancel()


def _failed(request: Request, error: Exception) -> bytes:
    problem = problems.refusal_of(error).problem
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("an answer failed when it had begun", exc_info=error)
    return _event("error", json.dumps(problems.told(request, problem)))


def _event(name: str, data: str) -> bytes:
    return format_sse_event(event=name, data_str=data)
