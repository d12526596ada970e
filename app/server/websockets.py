"""WebSockets with limits on what a client can make the service hold, do and wait for.

uvicorn itself parses all that was read at a time, answers pings for as long as they come, and
waits for ever for a client that does not read. This module leans on the insides of its protocol
class; `tests/unit/app/server/test_uvicorn_internals.py` pins those that it needs.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from app.server.limits import CONNECTION_LIMITS, ConnectionLimits
from app.server.unread import UnreadTimer

MAX_MESSAGE_BYTES = 2 * 192_000
"""of a message: a second of 16-bit sound at the highest sample rate"""
# Parsed in one turn of the event loop, so that others get theirs.
_PARSED_BYTES = 16 * 1024
# Frames that hold next to nothing: so many, and one more for each of so many bytes. A frame costs
# as much as hundreds of samples; browsers record 128 samples at a time.
_FREE_FRAMES, _BYTES_PER_FRAME = 1000, 64


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket of uvicorn's with limits."""

    _unread_timer: UnreadTimer
    _parsing = False
    """whether a turn is scheduled to parse `_unparsed`"""
    _frames_left = float(_FREE_FRAMES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unparsed = bytearray()
        self.close_timeout = min(self.close_timeout, self._limits.timeout_seconds)

    @property
    def _limits(self) -> ConnectionLimits:
        limits: ConnectionLimits = self.app_state[CONNECTION_LIMITS]
        return limits

    # The parameter is narrower than asyncio's, as uvicorn's HTTP protocol has it.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection over."""
        super().connection_made(transport)
        self._unread_timer = UnreadTimer(self, transport, self._limits)

    def data_received(self, data: bytes) -> None:
        """Read some bytes, and parse the first of them."""
        self._unparsed += data
        if not self._parsing:
            self._parse()

    def handle_events(self) -> None:
        """Handle the frames that were parsed; too many that hold next to nothing end it."""
        super().handle_events()
        if self._frames_left < 0 and not self.close_sent:
            self._fail(CloseCode.POLICY_VIOLATION, "frames hold too little; send longer ones")
        self._watch_end()

    def handle_cont(self, event: Frame) -> None:
        """Handle a fragment."""
        self._count_frame(event)
        super().handle_cont(event)

    def handle_bytes(self, event: Frame) -> None:
        """Handle a binary message, or the first fragment of one."""
        self._count_frame(event)
        super().handle_bytes(event)

    def handle_text(self, event: Frame) -> None:
        """Handle a text message, or the first fragment of one."""
        self._count_frame(event)
        super().handle_text(event)

    def handle_ping(self) -> None:
        """Answer a ping."""
        self._frames_left -= 1
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Handle the answer to a ping, or one that nobody asked for."""
        self._frames_left -= 1
        super().handle_pong(event)

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read: it gets no more answers until it does."""
        super().pause_writing()
        self._unread_timer.start()

    def resume_writing(self) -> None:
        """Go on when the client reads."""
        super().resume_writing()
        if not self._is_ending:
            self._unread_timer.stop()
        self._go_on()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message of the application's."""
        await super().send(message)  # type: ignore[arg-type]
        if message["type"] == "websocket.http.response.body":
            # uvicorn itself would report every refusal as an error of the application's.
            self.handshake_complete = True
        self._watch_end()
        self._go_on()

    async def receive(self) -> Any:
        """Return the next message, and read on when there are no more."""
        message = await self.queue.get()
        if self.queue.empty():
            self.read_paused = False
            self._go_on()
        return message

    def shutdown(self) -> None:
        """End with the server."""
        super().shutdown()
        self._watch_end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._unparsed.clear()
        self._unread_timer.stop()
        self._limits.forget(self)
        super().connection_lost(exc)

    def evict(self) -> bool:
        """Give way to another connection."""
        self.transport.abort()
        return True

    @property
    def _is_ending(self) -> bool:
        return self.close_sent or self.transport.is_closing()

    def _parse(self) -> None:
        """Parse a piece of what was read; stop to read until all of it is parsed."""
        self._parsing = False
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        piece = bytes(self._unparsed[:_PARSED_BYTES])
        del self._unparsed[:_PARSED_BYTES]
        super().data_received(piece)
        self._watch_end()  # the piece may have broken the protocol
        if self._unparsed:
            self.transport.pause_reading()
        self._go_on()

    def _go_on(self) -> None:
        """Parse, or read, on, unless the application or the client has to catch up."""
        if self.read_paused or not self.writable.is_set() or self._parsing:
            return
        if self._unparsed:
            self._parsing = True
            self.loop.call_soon(self._parse)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _count_frame(self, event: Frame) -> None:
        earned = self._frames_left + len(event.data) / _BYTES_PER_FRAME
        self._frames_left = min(_FREE_FRAMES, earned) - 1

    def _fail(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def _watch_end(self) -> None:
        """Bound the time that a connection takes to end, whatever its client does."""
        if self._is_ending:
            self._unread_timer.start()
            self._limits.closing[self] = None
