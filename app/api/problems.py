"""Errors as `application/problem+json` (RFC 9457)."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.schemas import Problem
from app.audio import errors as audio
from app.checkpoints.errors import CheckpointError
from app.genres import GenreError
from app.inference.batcher import OverloadedError
from app.inference.explain import ClipError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# Long enough for a full queue to be answered.
_RETRY_AFTER_SECONDS = 1


class ProblemError(Exception):
    """Raised by handlers to answer with a problem."""

    def __init__(
        self,
        kind: str,
        title: str,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = _problem_of(kind, title, status, detail)
        self.headers = headers


_INVALID_PARAMETER = "invalid-parameter"
_INVALID_TITLE = "A parameter is missing or not accepted"


def invalid_parameter(detail: str) -> ProblemError:
    """The problem of a parameter whose type is right and whose value is not."""
    return ProblemError(_INVALID_PARAMETER, _INVALID_TITLE, HTTPStatus.UNPROCESSABLE_ENTITY, detail)


_AUDIO: dict[type[audio.AudioError], tuple[str, str, HTTPStatus]] = {
    audio.UnsupportedAudioError: (
        "unsupported-format",
        "The file is in no format that is accepted",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
    audio.CorruptAudioError: (
        "corrupt",
        "The file is damaged or not whole",
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    audio.EmptyAudioError: ("empty", "There is no sound", HTTPStatus.UNPROCESSABLE_ENTITY),
    audio.AudioTooLongError: (
        "recording-too-long",
        "The recording is too long",
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    audio.SilentAudioError: (
        "silent",
        "The recording is silent",
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    audio.InvalidSamplesError: (
        "invalid-samples",
        "The recording's samples are not numbers that sound can have",
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
}

_KNOWN = (ProblemError, audio.AudioError, OverloadedError, CheckpointError, GenreError, ClipError)


def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problems that a route can answer with."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status.value: {"description": status.phrase, "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }


OF_A_RECORDING = responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""what can go wrong where a checkpoint answers one recording"""


def overloaded(detail: str) -> ProblemError:
    """The problem of more work than can be done now."""
    return ProblemError(
        "overloaded",
        "The server has more to do than it can",
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"{detail}; try again in a moment",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def too_late(seconds: float) -> ProblemError:
    """The problem of an answer that was not ready after `seconds`."""
    return overloaded(f"there was no answer within {seconds:g} seconds")


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem, and describe problems in its OpenAPI document."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it

    async def _known(_: Request, error: Exception) -> JSONResponse:
        found = refusal_of(error)
        return _answer(found.problem, found.headers)

    for kind in _KNOWN:
        app.add_exception_handler(kind, _known)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # An unknown name in the path is a resource that does not exist.
        in_path = any(item["loc"][0] == "path" for item in error.errors())
        status = HTTPStatus.NOT_FOUND if in_path else HTTPStatus.UNPROCESSABLE_ENTITY
        detail = "; ".join(_describe(item) for item in error.errors())
        return _answer(_problem_of(_INVALID_PARAMETER, _INVALID_TITLE, status, detail))

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        problem = Problem(
            type="about:blank", title=phrase, status=error.status_code, detail=error.detail
        )
        return _answer(problem, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def _gone(_: Request, __: ClientDisconnect) -> JSONResponse:
        # Nobody is left to read this; it only ends the request quietly.
        return _answer(
            _problem_of(
                "incomplete-body",
                "The request ended early",
                HTTPStatus.BAD_REQUEST,
                "the connection closed before the whole body was sent",
            )
        )

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(refusal_of(error).problem)


def refusal_of(error: Exception) -> ProblemError:
    """What a client is told of an error, whatever it is."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, audio.AudioError):
        kind, title, status = _AUDIO[type(error)]
        return ProblemError(kind, title, status, str(error))
    if isinstance(error, OverloadedError):
        return overloaded(str(error))
    if isinstance(error, CheckpointError):
        title, status = "The checkpoint is not loaded", HTTPStatus.SERVICE_UNAVAILABLE
        return ProblemError("checkpoint-unavailable", title, status, str(error))
    if isinstance(error, GenreError | ClipError):
        return invalid_parameter(str(error))
    return ProblemError(
        "internal",
        HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the server failed to answer; the error is in its log",
    )


def _problem_of(kind: str, title: str, status: HTTPStatus, detail: str) -> Problem:
    return Problem(type=f"/problems/{kind}", title=title, status=status.value, detail=detail)


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        problem.model_dump(), problem.status, headers=headers, media_type=MEDIA_TYPE
    )


def _describe(item: dict[str, Any]) -> str:
    place, *names = item["loc"]
    name = ".".join(str(part) for part in names) or "request"
    if item["type"] == "missing":
        return f"the {place} parameter {name} is required"
    given = f", got {item['input']!r}" if isinstance(item.get("input"), str) else ""
    return f"{name}: {item['msg'].removeprefix('Value error, ')}{given}"
