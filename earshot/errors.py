"""The error that the service answers with, and what is made of other answers."""

from http import HTTPStatus

from pydantic import ValidationError

from earshot.schemas import Problem

_DETAIL_CHARACTERS = 200


class EarshotError(Exception):
    """The service answered with an error.

    Where it does not answer at all, the error is httpx.TransportError.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem
        """type, title, status and detail (RFC 9457)"""

    def __str__(self) -> str:
        return f"{self.problem.title}: {self.problem.detail}"


def error_from(status: int, reason_phrase: str, content: bytes) -> EarshotError:
    """Return the error of a response that is none of success."""
    try:
        return EarshotError(Problem.model_validate_json(content))
    except ValidationError:
        # Something between the service and the client answered in its place.
        detail = content.decode(errors="replace") or "no reason is given"
        return _error(reason_phrase or "Error", status, detail)


def unexpected_answer(content: str | bytes, status: int = HTTPStatus.OK) -> EarshotError:
    """Return the error of a success that is not an answer of the service."""
    detail = content if isinstance(content, str) else content.decode(errors="replace")
    return _error("The answer is not that of an Earshot service", status, detail)


def stream_closed(code: int, reason: str) -> EarshotError:
    """Return the error of a WebSocket that the service closed (RFC 6455, section 7.4.1)."""
    status = {
        1011: HTTPStatus.INTERNAL_SERVER_ERROR,
        1012: HTTPStatus.SERVICE_UNAVAILABLE,
        1013: HTTPStatus.SERVICE_UNAVAILABLE,
    }.get(code, HTTPStatus.BAD_REQUEST)
    return _error("The service closed the stream", status, reason or f"code {code}")


def _error(title: str, status: int, detail: str) -> EarshotError:
    return EarshotError(
        Problem(type="about:blank", title=title, status=status, detail=detail[:_DETAIL_CHARACTERS])
    )
