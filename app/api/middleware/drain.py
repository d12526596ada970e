"""Draining: the end of the process without the loss of an accepted request."""

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import ProblemError, problem_response

_RETRY_AFTER_SECONDS = 1


class DrainState:
    """Whether the process drains: finishes its requests before it ends. Begun once, never ended."""

    def __init__(self) -> None:
        self.active = False

    def begin(self) -> None:
        """Drain from now on."""
        self.active = True


def draining(detail: str) -> ProblemError:
    """Make the problem of a request to a process that is about to end."""
    return ProblemError(
        "draining",
        f"{detail}; ask again, another may answer",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS), "Connection": "close"},
    )


class DrainMiddleware:
    """Closes the connections of a process that drains after each answer.

    A load balancer needs a moment to see that the process is not ready any more. Requests until
    then are answered, and each answer closes its connection, so that none is left idle that
    could be closed just as the next request is on its way.
    """

    def __init__(self, app: ASGIApp, drain: DrainState) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def closing(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                if self._drain.active:
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, closing)
        except asyncio.CancelledError:
            # The server waits for the last requests no longer.
            if begun or not self._drain.active:
                raise
            error = draining("there was no answer before the server had to stop")
            await problem_response(HTTPConnection(scope), error)(scope, receive, send)
