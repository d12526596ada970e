"""`GET /problems/{name}`: what the `type` of a problem leads to."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path

from app.api import problems
from app.api.problem_types import PROBLEM_TYPES, SERVED_TYPES
from earshot.schemas import ProblemTypeInfo

router = APIRouter(tags=["service"])


@router.get(
    "/problems/{name}",
    summary="Explain a type of problem",
    responses=problems.openapi_responses("invalid-parameter")
    | problems.openapi_http_response(HTTPStatus.NOT_FOUND, PROBLEM_TYPES["not-found"].example),
)
async def problem_type(
    name: Annotated[
        str,
        Path(
            description="the last part of a problem's `type`",
            json_schema_extra={"enum": list(SERVED_TYPES)},
        ),
    ],
) -> ProblemTypeInfo:
    """Explain the problems of one type: their status, what they may say, and what to do."""
    if name not in SERVED_TYPES:
        raise problems.not_found()
    found = PROBLEM_TYPES[name]
    return ProblemTypeInfo(
        type=problems.TYPE_PREFIX + name,
        title=found.title,
        status=found.status,
        example=found.example,
        remedy=found.remedy,
    )
