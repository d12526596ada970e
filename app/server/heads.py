"""Limits of a request's head, and problems for what is no HTTP.

uvicorn itself holds heads of any size, and answers what is no HTTP in text. This module leans on
the insides of its protocol class; `tests/unit/app/server/test_uvicorn_internals.py` pins those
that it needs.
"""

import uuid
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.middleware.security_headers import SECURITY_HEADERS
from app.api.problems import MEDIA_TYPE, ProblemError

MAX_HEAD_BYTES = 64 * 1024
"""of a request's line and headers, or of the trailers behind its body"""
MAX_HEADERS = 200


class _RefusedHeadError(Exception):
    """The head of a request is refused; `BoundedHeadProtocol._refusal` says why."""


class BoundedHeadProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with a limit on a request's head, and problems for answers."""

    _refusal: ProblemError | None = None
    _unfinished = 0
    """bytes since a head, a piece of a body or a request was complete"""
    _head_bytes = _headers = 0
    """of the head, or the trailers, that are being read"""

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is too large, or not HTTP/1, is answered with a problem."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.refuse(_head_too_large())

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._head_bytes = self._headers = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Read a part of the address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header."""
        self._headers += 1
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._unfinished = self._head_bytes = self._headers = 0
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if version not in ("1.0", "1.1"):
            self.reject(malformed(f"HTTP/{version} is not spoken here; send HTTP/1.1"))
        if hosts > 1 or (version == "1.1" and not hosts):
            # RFC 9112, section 3.2.
            self.reject(malformed(f"send one header Host, got {hosts or 'none'}"))
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._unfinished = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read."""
        refusal, self._refusal = self._refusal, None
        self.refuse(refusal or malformed(msg))

    def refuse(self, refusal: ProblemError) -> None:
        """Answer with a problem and close, without the application."""
        if self.cycle is not None and not self.cycle.response_complete:
            # In the midst of another answer: that one is finished, and the last.
            self.cycle.keep_alive = False
            return
        self.transport.write(refusal_bytes(refusal))
        self.linger()

    def linger(self) -> None:
        """Close, but not before the client has read the answer."""
        self.transport.close()

    def reject(self, refusal: ProblemError) -> None:
        """Stop the parser, whose caller then calls `send_400_response`."""
        self._refusal = refusal
        raise _RefusedHeadError

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > MAX_HEAD_BYTES or self._headers > MAX_HEADERS:
            self.reject(_head_too_large())


def refusal_bytes(refusal: ProblemError) -> bytes:
    """Return the answer to a request that does not come to the application."""
    problem, request_id = refusal.problem, uuid.uuid4().hex
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
    return "\r\n".join([*lines, "", ""]).encode() + body


def malformed(detail: str) -> ProblemError:
    """Make the problem of a request that is not HTTP."""
    return ProblemError("malformed-request", detail)


def _head_too_large() -> ProblemError:
    return ProblemError(
        "head-too-large",
        f"the line and headers of the request have more than {MAX_HEAD_BYTES} bytes, "
        f"or there are more than {MAX_HEADERS} headers",
    )
