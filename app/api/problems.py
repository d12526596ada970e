"""Errors as `application/problem+json` (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.audio import errors as audio
from app.checkpoints.errors import CheckpointError
from app.genres import GenreError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_INVALID_PARAMETER = "A parameter is missing or not accepted"


class Problem(BaseModel):
    """An error, as RFC 9457 describes one."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="names the kind of problem", examples=["/problems/silent"])
    title: str = Field(examples=["The recording is silent"])
    status: int = Field(examples=[422])
    detail: str = Field(description="what was wrong here, and what would be right")


class ProblemError(Exception):
    """Raised by handlers to answer with a problem."""

    def __init__(self, kind: str, title: str, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.problem = _problem_of(kind, title, status, detail)


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


def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problems that a route can answer with."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status.value: {"description": status.phrase, "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem, and describe problems in its OpenAPI document."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it

    @app.exception_handler(ProblemError)
    async def _problem(_: Request, error: ProblemError) -> JSONResponse:
        return _answer(error.problem)

    @app.exception_handler(audio.AudioError)
    async def _audio(_: Request, error: audio.AudioError) -> JSONResponse:
        kind, title, status = _AUDIO[type(error)]
        return _answer(_problem_of(kind, title, status, str(error)))

    @app.exception_handler(CheckpointError)
    async def _checkpoint(_: Request, error: CheckpointError) -> JSONResponse:
        return _answer(
            _problem_of(
                "checkpoint-unavailable",
                "The checkpoint is not loaded",
                HTTPStatus.SERVICE_UNAVAILABLE,
                str(error),
            )
        )

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # An unknown name in the path is a resource that does not exist.
        in_path = any(item["loc"][0] == "path" for item in error.errors())
        status = HTTPStatus.NOT_FOUND if in_path else HTTPStatus.UNPROCESSABLE_ENTITY
        detail = "; ".join(_describe(item) for item in error.errors())
        return _answer(_problem_of("invalid-parameter", _INVALID_PARAMETER, status, detail))

    @app.exception_handler(GenreError)
    async def _genre(_: Request, error: GenreError) -> JSONResponse:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _answer(_problem_of("invalid-parameter", _INVALID_PARAMETER, status, str(error)))

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
        problem = Problem(
            type="about:blank",
            title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=500,
            detail="the server failed to answer; the error is in its log",
        )
        return _answer(problem)


def _problem_of(kind: str, title: str, status: HTTPStatus, detail: str) -> Problem:
    return Problem(type=f"/problems/{kind}", title=title, status=status.value, detail=detail)


def _answer(problem: Problem, headers: Any = None) -> JSONResponse:
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
