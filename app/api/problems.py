"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.routing import Match

from app.api.problem_types import KINDS
from earshot.schemas import Problem
from app.checkpoints.store import CheckpointError
from app.decoding import errors as audio
from app.inference.batcher import OverloadedError
from app.inference.class_activation import ClipError
from app.music.library import GenreError

MEDIA_TYPE = "application/problem+json"
_KINDS = "/problems/"
# Long enough for a full queue to be answered.
_RETRY_AFTER_SECONDS = 1
_RETRY_AFTER = {
    "Retry-After": {
        "description": "seconds after which asking again may help; absent where it will not",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    }
}
# OpenAPI's entries of what answers of these statuses have beside the problem.
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


class ProblemError(Exception):
    """Raised by handlers to answer with a problem."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """A problem of one of the `KINDS`; `members` are told beside the usual ones."""
        super().__init__(detail)
        problem = _problem_of(kind, detail)
        self.problem = Problem.model_validate({**problem.model_dump(), **(members or {})})
        self.headers = headers


def invalid_parameter(detail: str) -> ProblemError:
    """The problem of a parameter whose type is right and whose value is not."""
    return ProblemError("invalid-parameter", detail)


_AUDIO: dict[type[audio.AudioError], str] = {
    audio.UnsupportedAudioError: "unsupported-format",
    audio.CorruptAudioError: "corrupt",
    audio.DecoderFailedError: "undecodable",
    audio.EmptyAudioError: "empty",
    audio.AudioTooLongError: "recording-too-long",
    audio.SilentAudioError: "silent",
    audio.InvalidSamplesError: "invalid-samples",
}

_KNOWN = (ProblemError, audio.AudioError, OverloadedError, CheckpointError, GenreError, ClipError)


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problems that a route can answer with, by their status."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status = KINDS[kind].status
        problem = _problem_of(kind, KINDS[kind].example)
        _add_example(found, status, kind, problem)
    return found


def of_http(status: HTTPStatus, detail: str) -> dict[int | str, dict[str, Any]]:
    """As `responses`, of a problem that HTTP alone describes."""
    found: dict[int | str, dict[str, Any]] = {}
    _add_example(found, status, _reason(status), _of_http(status, detail))
    return found


def _add_example(
    found: dict[int | str, dict[str, Any]], status: HTTPStatus, name: str, problem: Problem
) -> None:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
    entry = found.setdefault(
        status.value, {"description": status.phrase, "content": {MEDIA_TYPE: content}}
    )
    if status in _HEADERS:
        entry["headers"] = _HEADERS[status]
    value = problem.model_dump() | {"request_id": "276cb92e1d434340a8cf72ffc4f2f3a4"}
    entry["content"][MEDIA_TYPE]["examples"][name] = {"value": value}


OF_A_BODY = (
    *("unsupported-format", "corrupt", "undecodable", "empty", "invalid-samples"),
    *("recording-too-long", "file-too-large", "incomplete-body", "too-slow"),
    *("invalid-parameter", "overloaded", "deadline", "draining"),
)
"""what can go wrong where the body is a recording"""
OF_A_FILE = (*OF_A_BODY, "unsupported-media-type", "missing-file", "malformed-multipart")
"""what can go wrong where it may be a form, too"""


def of_a_checkpoint(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """As `responses`, of a route to a task: there may be no such task, or nothing to answer it."""
    found = responses(*kinds, "checkpoint-unavailable")
    detail = "task: Input should be 'emotion' or 'urban-sound', got 'whales'"
    status = HTTPStatus.NOT_FOUND
    unknown = _problem_of("invalid-parameter", detail, status)
    _add_example(found, status, "unknown-task", unknown)
    return found


def overloaded(detail: str) -> ProblemError:
    """The problem of more work than can be done now."""
    return _try_again("overloaded", detail)


def not_found() -> ProblemError:
    """The problem of a resource that does not exist."""
    return ProblemError("not-found", KINDS["not-found"].example, members={"type": "about:blank"})


def too_late(seconds: float) -> ProblemError:
    """The problem of an answer that was not ready after `seconds`."""
    detail = f"there was no answer within {seconds:g} seconds"
    return _try_again("deadline", detail)


def _try_again(kind: str, detail: str) -> ProblemError:
    return ProblemError(
        kind,
        f"{detail}; try again in a moment",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    async def _known(request: Request, error: Exception) -> JSONResponse:
        return answer(request, error)

    for kind in _KNOWN:
        app.add_exception_handler(kind, _known)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # An unknown name in the path is a resource that does not exist.
        in_path = any(item["loc"][0] == "path" for item in error.errors())
        status = HTTPStatus.NOT_FOUND if in_path else HTTPStatus.UNPROCESSABLE_ENTITY
        detail = "; ".join(_describe(item) for item in error.errors())
        return _answer(request, _problem_of("invalid-parameter", detail, status))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        problem = _of_http(HTTPStatus(error.status_code), error.detail)
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed(request))
        return _answer(request, problem, headers)

    @app.exception_handler(ClientDisconnect)
    async def _gone(request: Request, _: ClientDisconnect) -> JSONResponse:
        # Nobody is left to read this; it only ends the request quietly.
        return _answer(
            request,
            _problem_of("incomplete-body", KINDS["incomplete-body"].example),
        )


def answer(request: HTTPConnection, error: Exception) -> JSONResponse:
    """The answer to a request, or a WebSocket's handshake, that failed with `error`."""
    found = refusal_of(error)
    return _answer(request, found.problem, found.headers)


def refusal_of(error: Exception) -> ProblemError:
    """What a client is told of an error, whatever it is."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, audio.AudioError):
        return ProblemError(_AUDIO[type(error)], str(error))
    if isinstance(error, OverloadedError):
        return overloaded(str(error))
    if isinstance(error, CheckpointError):
        return ProblemError("checkpoint-unavailable", str(error))
    if isinstance(error, GenreError | ClipError):
        return invalid_parameter(str(error))
    return ProblemError("internal", KINDS["internal"].example)


def _problem_of(kind: str, detail: str, status: HTTPStatus | None = None) -> Problem:
    of_kind = KINDS[kind]
    return Problem(
        type=f"{_KINDS}{kind}", title=of_kind.title, status=status or of_kind.status, detail=detail
    )


def reason_of(problem: Problem) -> str:
    """The kind of a problem, as it is counted and logged."""
    if problem.type.startswith(_KINDS):
        return problem.type.removeprefix(_KINDS)
    return _reason(HTTPStatus(problem.status))


def _reason(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "-")


def _of_http(status: HTTPStatus, detail: str) -> Problem:
    return Problem(type="about:blank", title=status.phrase, status=status, detail=detail)


def _allowed(request: Request) -> list[str]:
    """The methods that a path knows: the router itself tells those of its first route alone."""
    return [
        method.value
        for method in HTTPMethod
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]


def told(request: HTTPConnection, problem: Problem) -> dict[str, Any]:
    """A problem as the client of `request` gets it; noted for the log and the metrics."""
    request.state.problem = reason_of(problem)
    return problem.model_dump() | {"request_id": request.state.request_id}


def _answer(
    request: HTTPConnection, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    content = told(request, problem)
    return JSONResponse(content, problem.status, headers=headers, media_type=MEDIA_TYPE)


def _describe(item: dict[str, Any]) -> str:
    place, *names = item["loc"]
    name = ".".join(str(part) for part in names) or "request"
    if item["type"] == "missing":
        return f"the {place} parameter {name} is required"
    given = f", got {item['input']!r}" if isinstance(item.get("input"), str) else ""
    return f"{name}: {item['msg'].removeprefix('Value error, ')}{given}"
