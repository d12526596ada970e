"""The end of the process as its clients see it: nothing that was accepted is lost."""

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import ProblemError, answer

_RETRY_AFTER_SECONDS = 1


class Drain:
    """Whether the process is on its way out. Begun once, never ended."""

    def __init__(self) -> None:
        self.active = False

    def begin(self) -> None:
        """Be on the way out."""
        self.active = True


def draining(detail: str) -> ProblemError:
    """The problem of asking a process that is about to end."""
    return ProblemError(
        "draining",
        f"{detail}; ask again, another may answer",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS), "Connection": "close"},
    )


class Draining:
    """Middleware: while a process drains, its clients are to come back on another connection.

    A load balancer needs a moment to see that the process is not ready any more. What it sends
    until then is answered, and each answer closes its connection, so that none is left idle that
    could be closed just as the next request is on its way.
    """

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
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
            # The server's patience with the last requests is over.
            if begun or not self._drain.active:
                raise
            refusal = draining("there was no answer before the server had to stop")
            await answer(HTTPConnection(scope), refusal)(scope, receive, send)
