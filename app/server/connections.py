"""What a connection may cost: how many there are, and how long each may keep the service waiting.

uvicorn itself closes connections that are idle between two requests, and waits for ever for the
rest of a request that has begun.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from app.api.admission import too_slow
from app.api.middleware.security_headers import EVERYWHERE
from app.api.problems import MEDIA_TYPE, ProblemError, overloaded, reason_of
from app.server.protocol import BoundedHeads

STATE = "connections"
"""the name of the `Connections` in the state that the application's lifespan yields"""
# Requests that a client may send before the first of them is answered.
_PIPELINED = 100


@dataclass
class Connections:
    """All connections of a process, and what bounds them."""

    most: int
    seconds: float
    """that a client may let the service wait"""
    refused: Callable[[str], None]
    """is told the kind of each problem that is answered here"""
    waiting: dict["Connection", None] = field(default_factory=dict)
    """those without a request that is being answered, the longest first"""


class Connection(BoundedHeads):
    """An HTTP connection of uvicorn's with bounds.

    The head of a request, and what is left of the body of one that was answered early, have
    `Connections.seconds` to arrive, and so has an answer to be taken. Bodies are bounded where
    they are read (`app.api.admission`). Where there are too many connections, the one that has
    waited longest for a request is closed.
    """

    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _begun = False

    @property
    def _all(self) -> Connections:
        found: Connections = self.app_state[STATE]
        return found

    # The parameter is narrower than asyncio's, as uvicorn's own is.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        if len(self.connections) > self._all.most:
            if not self._all.waiting:
                self._refuse(overloaded(f"there are {self._all.most} connections already"))
                return
            next(iter(self._all.waiting))._close()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        super().data_received(data)
        self._begun = True
        # uvicorn's protocol reads on while it answers, and keeps a queue of what it has read.
        if len(self.pipeline) > _PIPELINED:
            self.transport.abort()
        self._watch()

    def on_response_complete(self) -> None:
        """A request was answered."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._unwatch()
        self._resumed()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """The client has asked nothing more for a while."""
        super().timeout_keep_alive_handler()
        self._watch()

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """The client takes what it is sent."""
        if not self.transport.is_closing():
            self._resumed()
        super().resume_writing()

    def _watch(self) -> None:
        """Have a timer run exactly while no request is being answered."""
        upgraded = self.transport.get_protocol() is not self  # to a WebSocket
        answering = self.cycle is not None and not self.cycle.response_complete
        if self.transport.is_closing():
            self._unwatch()
            self._await_taking()  # it is not closed before all was taken
        elif answering or upgraded:
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._all.seconds, self._too_late)
            self._all.waiting[self] = None

    def _unwatch(self) -> None:
        self._all.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await_taking(self) -> None:
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._all.seconds, self.transport.abort)

    def _resumed(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _too_late(self) -> None:
        # To a connection that was opened and never used, or used before, a 408 would look like
        # the answer to the request that it sends next.
        if self._begun and self.cycle is None:
            seconds = self._all.seconds
            self._refuse(too_slow(f"the head of the request was not there within {seconds:g} s"))
        else:
            self._close()

    def _refuse(self, refusal: ProblemError) -> None:
        """Answer with a problem and close; the application knows nothing of it."""
        problem, request_id = refusal.problem, uuid.uuid4().hex
        self._all.refused(reason_of(problem))
        body = problem.model_copy(update={"request_id": request_id}).model_dump_json().encode()
        headers = {
            **EVERYWHERE,
            "X-Request-ID": request_id,
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            **(refusal.headers or {}),
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._watch()
