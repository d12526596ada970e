"""Limits of connections: their number, the size of a request's head, and the wait for a client.

uvicorn itself closes connections that are idle between two requests, holds headers of any size,
and waits for ever for the rest of a request that has begun. This module leans on the insides of
its protocol class; `tests/unit/app/server/test_uvicorn_internals.py` pins those that it needs.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.middleware.security_headers import SECURITY_HEADERS
from app.api.problems import MEDIA_TYPE, ProblemError, overloaded, problem_code, too_slow

CONNECTION_LIMITS = "connection_limits"
"""the name of the `ConnectionLimits` in the state that the application's lifespan yields"""
MAX_HEAD_BYTES = 64 * 1024
"""of a request's line and headers, or of the trailers behind its body"""
# Requests that a client may send before the first of them is answered.
_PIPELINED = 100


class BoundedHeadProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with a limit on the size of a request's head."""

    _unfinished = 0
    """bytes since a head, a piece of a body or a request was complete"""

    def data_received(self, data: bytes) -> None:
        """Read on; a head that becomes too large is answered with 400."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._unfinished = 0
        super().on_message_complete()


@dataclass
class ConnectionLimits:
    """All connections of a process, and their limits."""

    max_connections: int
    timeout_seconds: float
    """longest wait for a client"""
    on_problem: Callable[[str], None]
    """is called with the type of each problem that is answered here"""
    idle: dict["Connection", None] = field(default_factory=dict)
    """those without a request that is being answered, the longest first"""


class Connection(BoundedHeadProtocol):
    """An HTTP connection of uvicorn's with limits.

    The head of a request, and what is left of the body of one that was answered early, have
    `ConnectionLimits.timeout_seconds` to arrive, and an answer has as long to be read. Bodies are
    limited where they are read (`app.api.admission`). Where there are too many connections, the
    one that has been idle for longest is closed.
    """

    _idle_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _has_received = False

    @property
    def _limits(self) -> ConnectionLimits:
        limits: ConnectionLimits = self.app_state[CONNECTION_LIMITS]
        return limits

    # The parameter is narrower than asyncio's, as uvicorn's own is.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a client."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            if not self._limits.idle:
                self._refuse(
                    overloaded(f"there are {self._limits.max_connections} connections already")
                )
                return
            next(iter(self._limits.idle))._close()
        self._update_idle_timer()

    def data_received(self, data: bytes) -> None:
        """Read some bytes."""
        super().data_received(data)
        self._has_received = True
        # uvicorn's protocol reads on while it answers, and keeps a queue of what it has read.
        if len(self.pipeline) > _PIPELINED:
            self.transport.abort()
        self._update_idle_timer()

    def on_response_complete(self) -> None:
        """End an answer."""
        super().on_response_complete()
        self._update_idle_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_idle_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without a next request."""
        super().timeout_keep_alive_handler()
        self._update_idle_timer()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read its answer."""
        super().pause_writing()
        self._start_write_timer()

    def resume_writing(self) -> None:
        """Go on when the client reads its answer."""
        if not self.transport.is_closing():
            self._stop_write_timer()
        super().resume_writing()

    def _update_idle_timer(self) -> None:
        """Keep the timer running exactly while no request is being answered."""
        upgraded = self.transport.get_protocol() is not self  # to a WebSocket
        answering = self.cycle is not None and not self.cycle.response_complete
        if self.transport.is_closing():
            self._stop_idle_timer()
            self._start_write_timer()  # it is not closed before all was read
        elif answering or upgraded:
            self._stop_idle_timer()
        elif self._idle_timer is None:
            self._idle_timer = self.loop.call_later(
                self._limits.timeout_seconds, self._on_idle_timeout
            )
            self._limits.idle[self] = None

    def _stop_idle_timer(self) -> None:
        self._limits.idle.pop(self, None)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _start_write_timer(self) -> None:
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(
                self._limits.timeout_seconds, self.transport.abort
            )

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _on_idle_timeout(self) -> None:
        # To a connection that was opened and never used, or used before, a 408 would look like
        # the answer to the request that it sends next.
        if self._has_received and self.cycle is None:
            seconds = self._limits.timeout_seconds
            self._refuse(too_slow(f"the head of the request was not there within {seconds:g} s"))
        else:
            self._close()

    def _refuse(self, refusal: ProblemError) -> None:
        """Answer with a problem and close, without the application."""
        problem, request_id = refusal.problem, uuid.uuid4().hex
        self._limits.on_problem(problem_code(problem))
        body = problem.model_copy(update={"request_id": request_id}).model_dump_json().encode()
        headers = {
            **SECURITY_HEADERS,
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
        self._update_idle_timer()
