"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from app.api.problem_types import PROBLEM_TYPES
from app.checkpoints.store import CheckpointError
from app.decoding.errors import AudioError, SilentAudioError
from app.inference.batcher import OverloadedError
from app.inference.explanation import ClipNumberError
from app.music.library import GenreError, TrackError
from earshot.schemas import Problem

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
# Of a detail, which may repeat what was sent, and of a value in it.
_DETAIL_LENGTH, _VALUE_LENGTH = 2000, 100
# Long enough for a full queue to be worked off.
_RETRY_AFTER_SECONDS = 1
_RETRY_AFTER = {
    "Retry-After": {
        "description": "seconds after which a retry may help; absent where it will not",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    }
}
# OpenAPI's entries of the headers that answers of these statuses have.
_ROUTED_AS = {HTTPMethod.HEAD: HTTPMethod.GET}
_HEADERS = {
    HTTPStatus.SERVICE_UNAVAILABLE: _RETRY_AFTER,
    HTTPStatus.TOO_MANY_REQUESTS: _RETRY_AFTER,
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {
            "description": "how to send a key",
            "schema": {"type": "string"},
            "example": 'Bearer realm="earshot"',
        }
    },
}

AUDIO_PROBLEMS = tuple(kind.problem_type for kind in AudioError.__subclasses__())
"""types of problems of a recording"""
BODY_PROBLEMS = (
    # Silence is answered, but for routes that show something of the recording.
    *(name for name in AUDIO_PROBLEMS if name != SilentAudioError.problem_type),
    *("file-too-large", "unsupported-media-type", "incomplete-body", "too-slow"),
    *("invalid-parameter", "overloaded", "deadline", "draining"),
)
"""types of problems of a route whose body is a recording"""
FILE_PROBLEMS = (
    *BODY_PROBLEMS,
    *("missing-file", "malformed-multipart"),
)
"""types of problems of a route whose body may be a form, too"""


class ProblemError(Exception):
    """Raised by handlers to answer with a problem."""

    def __init__(
        self,
        problem_type: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        """Make a problem of one of the `PROBLEM_TYPES`; `extensions` join the usual members."""
        super().__init__(detail)
        problem = _make_problem(problem_type, detail)
        self.problem = Problem.model_validate({**problem.model_dump(), **(extensions or {})})
        self.headers = headers


# Each has a `problem_type`.
_DOMAIN_ERRORS = (
    *(AudioError, OverloadedError, CheckpointError, GenreError, TrackError, ClipNumberError),
)


def openapi_responses(*problem_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of the problems of a route, by their status."""
    entries: dict[int | str, dict[str, Any]] = {}
    for name in problem_types:
        problem_type = PROBLEM_TYPES[name]
        _add_example(entries, problem_type.status, name, _make_problem(name, problem_type.example))
    return entries


def openapi_http_response(status: HTTPStatus, detail: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry of a problem that HTTP alone describes."""
    entries: dict[int | str, dict[str, Any]] = {}
    _add_example(entries, status, _status_code(status), _make_http_problem(status, detail))
    return entries


def checkpoint_responses(*problem_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of a route to a task, whose checkpoint may be missing."""
    return openapi_responses(*problem_types, "checkpoint-unavailable", "unknown-task")


def invalid_parameter(detail: str) -> ProblemError:
    """Make the problem of a parameter whose type is right and whose value is not."""
    return ProblemError("invalid-parameter", detail)


def overloaded(detail: str) -> ProblemError:
    """Make the problem of more work than can be done now."""
    return _retryable("overloaded", detail)


def not_found() -> ProblemError:
    """Make the problem of a resource that does not exist."""
    return ProblemError(
        "not-found", PROBLEM_TYPES["not-found"].example, extensions={"type": "about:blank"}
    )


def deadline_exceeded(seconds: float) -> ProblemError:
    """Make the problem of an answer that was not ready after `seconds`."""
    return _retryable("deadline", f"there was no answer within {seconds:g} seconds")


def too_slow(detail: str) -> ProblemError:
    """Make the problem of a request that arrives too slowly."""
    return ProblemError("too-slow", detail, headers={"Connection": "close"})


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.router.default = _route_nowhere

    async def _domain(request: HTTPConnection, error: Exception) -> JSONResponse:
        return problem_response(request, error)

    for kind in (ProblemError, *_DOMAIN_ERRORS):
        app.add_exception_handler(kind, _domain)

    # What is answered to a WebSocket takes the place of its handshake.
    @app.exception_handler(WebSocketRequestValidationError)
    @app.exception_handler(RequestValidationError)
    async def _invalid(
        request: HTTPConnection, error: RequestValidationError | WebSocketRequestValidationError
    ) -> JSONResponse:
        detail = "; ".join(_describe(item) for item in error.errors())
        return _response(request, _make_problem("invalid-parameter", detail))

    @app.exception_handler(HTTPException)
    async def _http(request: HTTPConnection, error: HTTPException) -> JSONResponse:
        problem = _make_http_problem(HTTPStatus(error.status_code), error.detail)
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed_methods(request))
        return _response(request, problem, headers)

    @app.exception_handler(ClientDisconnect)
    async def _disconnected(request: Request, _: ClientDisconnect) -> JSONResponse:
        # Nobody is left to read this; it only ends the request quietly.
        return problem_response(
            request, ProblemError("incomplete-body", PROBLEM_TYPES["incomplete-body"].example)
        )


def problem_response(request: HTTPConnection, error: Exception) -> JSONResponse:
    """Return the answer to a request, or a WebSocket's handshake, that failed with `error`."""
    found = to_problem_error(error)
    return _response(request, found.problem, found.headers)


def to_problem_error(error: Exception) -> ProblemError:
    """Return the problem that a client is told of an error, whatever it is."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, OverloadedError):
        return overloaded(str(error))
    if isinstance(error, _DOMAIN_ERRORS):
        return ProblemError(error.problem_type, str(error))
    return ProblemError("internal", PROBLEM_TYPES["internal"].example)


def problem_code(problem: Problem) -> str:
    """Return the type of a problem as it is counted and logged."""
    if problem.type.startswith(TYPE_PREFIX):
        return problem.type.removeprefix(TYPE_PREFIX)
    return _status_code(HTTPStatus(problem.status))


def problem_body(request: HTTPConnection, problem: Problem) -> dict[str, Any]:
    """Return a problem as the client of `request` gets it; note it for the log and metrics."""
    request.state.problem = problem_code(problem)
    return problem.model_dump() | {"request_id": request.state.request_id}


async def _route_nowhere(_scope: Scope, _receive: Receive, _send: Send) -> NoReturn:
    # Starlette's own refuses WebSockets without a word.
    raise HTTPException(HTTPStatus.NOT_FOUND)


def _add_example(
    entries: dict[int | str, dict[str, Any]], status: HTTPStatus, name: str, problem: Problem
) -> None:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
    entry = entries.setdefault(
        status.value, {"description": status.phrase, "content": {MEDIA_TYPE: content}}
    )
    if status in _HEADERS:
        entry["headers"] = _HEADERS[status]
    value = problem.model_dump() | {"request_id": "276cb92e1d434340a8cf72ffc4f2f3a4"}
    entry["content"][MEDIA_TYPE]["examples"][name] = {"value": value}


def _retryable(problem_type: str, detail: str) -> ProblemError:
    return ProblemError(
        problem_type,
        f"{detail}; try again in a moment",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def _make_problem(problem_type: str, detail: str) -> Problem:
    found = PROBLEM_TYPES[problem_type]
    return Problem(
        type=f"{TYPE_PREFIX}{problem_type}",
        title=found.title,
        status=found.status,
        detail=detail if len(detail) <= _DETAIL_LENGTH else f"{detail[:_DETAIL_LENGTH]}...",
    )


def _make_http_problem(status: HTTPStatus, detail: str) -> Problem:
    return Problem(type="about:blank", title=status.phrase, status=status, detail=detail)


def _status_code(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "-")


def _allowed_methods(request: HTTPConnection) -> list[str]:
    """Return the methods that a path knows: the router tells those of its first route alone."""
    return [
        method.value
        for method, routed in ((each, _ROUTED_AS.get(each, each)) for each in HTTPMethod)
        if any(
            route.matches({**request.scope, "method": routed})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]


def _response(
    request: HTTPConnection, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    content = problem_body(request, problem)
    return JSONResponse(content, problem.status, headers=headers, media_type=MEDIA_TYPE)


def _describe(item: dict[str, Any]) -> str:
    place, *names = item["loc"]
    name = ".".join(str(part) for part in names) or "request"
    if item["type"] == "missing":
        return f"the {place} parameter {name} is required"
    value = item.get("input")
    given = f", got {value[:_VALUE_LENGTH]!r}" if isinstance(value, str) else ""
    return f"{name}: {item['msg'].removeprefix('Value error, ')}{given}"
