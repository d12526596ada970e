"""Requests that a client sends ahead of their answers: each is read when it is its turn.

uvicorn itself parses all of them and keeps a queue, learns of all but the last no more that the
client is gone, and ends none but the last with the process.
"""

from app.api.problems import ProblemError
from app.server.heads import BoundedHeadProtocol

# Bytes that are read ahead of their turn; the rest is left to the kernel. As long as there are
# fewer, it is noticed that the client is gone.
_READ_AHEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"


class SequentialProtocol(BoundedHeadProtocol):
    """A protocol that begins to parse a request when the one before it was answered."""

    _waiting = b""
    """what has come and is not parsed yet"""
    _head_tail = b""
    """the last bytes that were parsed, in which the end of a head may have begun"""
    _in_message = False
    """whether a request was begun, and not read to its end"""
    _body_bytes: int | None = 0
    """left of the body that is being read; None: as many as its chunks have"""

    @property
    def is_answering(self) -> bool:
        """Whether a request was read as far as its head, and not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_ending(self) -> bool:
        """Whether there will be no other answer."""
        return self.transport.is_closing()

    def data_received(self, data: bytes) -> None:
        """Parse a request, or more of one; keep what follows it until it was answered."""
        data = self._waiting + data if self._waiting else data
        start = 0
        while start < len(data) and not (self.is_answering and not self._in_message):
            end = self._end_of_piece(data, start)
            tail = data[max(start, end + 1 - len(_HEAD_END)) : end]
            self._head_tail = (self._head_tail + tail)[1 - len(_HEAD_END) :]
            super().data_received(data[start:end])
            start = end
            if self.is_ending or self.transport.get_protocol() is not self:
                start = len(data)
        self._waiting = data[start:]
        if len(self._waiting) > _READ_AHEAD_BYTES:
            self.transport.pause_reading()

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self.is_answering:
            # Behind chunks, whose end is known when it was parsed: the client asks again.
            self.reject(ProblemError("malformed-request", "a request came before its turn"))
        self._in_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        headers = dict(self.headers)
        chunked = b"transfer-encoding" in headers
        self._body_bytes = None if chunked else int(headers.get(b"content-length", 0))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        if self._body_bytes is not None:
            self._body_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._in_message, self._body_bytes, self._head_tail = False, 0, b""
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer, and go on with what has come meanwhile."""
        super().on_response_complete()
        if self._waiting and not self.is_ending:
            waiting = self._waiting
            self.drop_waiting()
            self.data_received(waiting)

    def drop_waiting(self) -> None:
        """Forget what has come ahead, and read on."""
        if len(self._waiting) > _READ_AHEAD_BYTES:
            self.transport.resume_reading()
        self._waiting = b""

    def _end_of_piece(self, data: bytes, start: int) -> int:
        """Return where what belongs to one request ends, as far as it is known."""
        if self._body_bytes is None:
            return len(data)
        if self._body_bytes:
            return start + self._body_bytes
        rest = len(_HEAD_END) - 1
        begun = (self._head_tail + data[start : start + rest]).find(_HEAD_END)
        if begun >= 0:
            return start + begun + len(_HEAD_END) - len(self._head_tail)
        end = data.find(_HEAD_END, start)
        return len(data) if end < 0 else end + len(_HEAD_END)
