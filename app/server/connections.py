"""Limits of connections: their number, and the wait for a client.

uvicorn itself closes connections that are idle between two requests, and waits for ever for the
rest of a request that has begun, and for an answer to be read. This module leans on the insides of
its protocol class; `tests/unit/app/server/test_uvicorn_internals.py` pins those that it needs.
"""

import asyncio
import fcntl
import re
import struct
import termios
from math import inf

from starlette.types import Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.problems import ProblemError, overloaded, problem_code, too_slow
from app.server.heads import malformed, refusal_bytes
from app.server.limits import CONNECTION_LIMITS, ConnectionLimits
from app.server.pipelining import SequentialProtocol
from app.server.unread import UnreadTimer, bound_send_buffer

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
# Answered however many connections there are.
_PROBES = (b"/healthz", b"/readyz", b"/metrics")
# After the server was told to stop, for a request that is on its way on an idle connection.
_GRACE_SECONDS = 0.5
_LOOK_SECONDS = 0.05
# And for a client to stop sending once it was answered.
_SHUT_DOWN_LINGER_SECONDS = 2.0


class _AnswerTransport:
    """The transport of one answer, which is closed when the client has sent what it sends.

    Closed before, it would have the kernel reset the connection, and the answer be lost with it
    (RFC 9112, section 9.6).
    """

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.is_ending

    def close(self) -> None:
        self._connection.end()


class Connection(SequentialProtocol):
    """An HTTP connection of uvicorn's with limits.

    The head of a request, and what is left of the body of one that was answered early, have
    `ConnectionLimits.timeout_seconds` to arrive; how slowly an answer may be read, `UnreadTimer`
    knows. Bodies are limited where they are read (`app.api.admission`). Where there are too many
    connections, one that can be spared is closed; where none can, the new one may ask for nothing
    but probes.
    """

    _idle_timer: asyncio.TimerHandle | None = None
    _unread_timer: UnreadTimer
    _has_received = False
    _is_surplus = False
    _is_lingering = False
    _is_shut_down = False

    @property
    def _limits(self) -> ConnectionLimits:
        limits: ConnectionLimits = self.app_state[CONNECTION_LIMITS]
        return limits

    @property
    def is_ending(self) -> bool:
        """Whether there will be no other answer."""
        return self._is_lingering or self.transport.is_closing()

    # The parameter is narrower than asyncio's, as uvicorn's own is.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a client."""
        super().connection_made(transport)
        self._unread_timer = UnreadTimer(self, transport, self._limits)
        bound_send_buffer(transport)
        if len(self.connections) > self._limits.max_connections:
            self._is_surplus = not self._limits.make_room()
        self._update_idle_timer()

    def data_received(self, data: bytes) -> None:
        """Read some bytes."""
        if self._is_lingering:
            return
        super().data_received(data)
        self._has_received = True
        self._update_idle_timer()

    def on_headers_complete(self) -> None:
        """Begin to answer, or to refuse where there are too many connections."""
        before = self.cycle
        if self._is_surplus and not self._is_probe:
            self.app = self._refuse_surplus
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = _AnswerTransport(self)  # type: ignore[assignment]
            if self._is_surplus or self._is_shut_down:
                self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """End an answer."""
        if self._is_lingering:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        else:
            super().on_response_complete()
        self._update_idle_timer()

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, where the handshake is valid and there is room for it."""
        if self._is_surplus:
            self.refuse(self._too_many())
        elif not self._is_handshake():
            self.refuse(
                malformed(
                    "send one header Sec-WebSocket-Key, of 16 bytes in base64, and "
                    "Sec-WebSocket-Version: 13"
                )
            )
        else:
            super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._stop_idle_timer()
        self._unread_timer.stop()
        self._limits.forget(self)
        super().connection_lost(exc)

    def refuse(self, refusal: ProblemError) -> None:
        """Answer with a problem and close, without the application."""
        if self.is_ending:
            return
        self._limits.on_problem(problem_code(refusal.problem))
        super().refuse(refusal)

    def end(self) -> None:
        """Close after the last answer, once the client has sent the rest of what it sends."""
        if self.is_ending:
            return
        in_request = self.cycle is not None and self.cycle.more_body
        if in_request or self._waiting or _has_unread(self.transport):
            self.linger()
        else:
            self._close()

    def linger(self) -> None:
        """Send no more, and read on until the client closes, for as long as it is waited for."""
        self._is_lingering = True
        self.drop_waiting()
        self.transport.write_eof()
        self._update_idle_timer()

    def shutdown(self) -> None:
        """End with the server: at once where no request is on its way, else after its answer."""
        self._is_shut_down = True
        if self.is_ending:
            self.loop.call_later(_SHUT_DOWN_LINGER_SECONDS, self.transport.abort)
        elif not self.is_answering:
            self.loop.call_later(_GRACE_SECONDS, self._close_idle)
        else:
            super().shutdown()

    def evict(self) -> bool:
        """Give way to another connection, unless a request has come that was not read yet."""
        if self.is_ending or self.flow.write_paused:
            self.transport.abort()
        elif _has_unread(self.transport):
            return False
        else:
            self._close()
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without a next request, unless that has come and is not read yet."""
        if not self.transport.is_closing() and _has_unread(self.transport):
            return
        super().timeout_keep_alive_handler()
        self._update_idle_timer()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read its answer."""
        super().pause_writing()
        self._unread_timer.start()

    def resume_writing(self) -> None:
        """Go on when the client reads its answer."""
        if not self.is_ending:
            self._unread_timer.stop()
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin to answer: a probe at once, and others in turn, if they are still waited for."""

        def start() -> None:
            if not cycle.disconnected:
                super(Connection, self)._start_asgi_task(cycle, app)

        if self._is_probe:
            start()
        else:
            self._limits.starts.add(start)

    @property
    def _is_probe(self) -> bool:
        return self.url.partition(b"?")[0] in _PROBES

    def _update_idle_timer(self) -> None:
        """Keep the timer running exactly while no request is being answered."""
        upgraded = self.transport.get_protocol() is not self  # to a WebSocket
        if self.is_ending:
            self._stop_idle_timer()
            # It is not closed before all was read.
            is_last = self._is_shut_down and self._is_lingering
            self._unread_timer.start(_SHUT_DOWN_LINGER_SECONDS if is_last else inf)
            self._limits.closing[self] = None
        elif self.is_answering or upgraded:
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

    def _on_idle_timeout(self) -> None:
        if not self.transport.is_closing() and _has_unread(self.transport):
            # A busy loop reads it in its next turn.
            self._stop_idle_timer()
            self._update_idle_timer()
            return
        # To a connection that was opened and never used, or used before, a 408 would look like
        # the answer to the request that it sends next.
        if self._has_received and self.cycle is None:
            seconds = self._limits.timeout_seconds
            self.refuse(too_slow(f"the head of the request was not there within {seconds:g} s"))
        else:
            self._close()

    def _is_handshake(self) -> bool:
        keys = [value for name, value in self.headers if name == b"sec-websocket-key"]
        versions = [value for name, value in self.headers if name == b"sec-websocket-version"]
        return len(keys) == 1 and _KEY.fullmatch(keys[0]) is not None and versions == [b"13"]

    def _too_many(self) -> ProblemError:
        return overloaded(f"there are {self._limits.max_connections} connections already")

    async def _refuse_surplus(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Be the application of a connection that is one too many."""
        refusal = self._too_many()
        self._limits.on_problem(problem_code(refusal.problem))
        head, _, body = refusal_bytes(refusal).partition(b"\r\n\r\n")
        headers = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[1:]]
        status = refusal.problem.status
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _close_idle(self) -> None:
        """Close a connection on which no request has come, or is in the kernel."""
        if self.is_ending or self.is_answering:
            return
        if self._unfinished or _has_unread(self.transport):
            self.loop.call_later(_LOOK_SECONDS, self._close_idle)
        else:
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self._update_idle_timer()


def _has_unread(transport: asyncio.Transport) -> bool:
    """Return whether the kernel has bytes that were not read yet."""
    size = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    return bool(struct.unpack("i", size)[0])
