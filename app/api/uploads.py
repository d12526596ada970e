"""Reading the one file of a multipart request into memory, and no byte more than allowed."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.problems import ProblemError

FIELD = "file"

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "string",
                        "format": "binary",
                        "description": "WAV, FLAC, AIFF, Ogg, MP3, M4A, MP4, AAC or WebM",
                    }
                },
            }
        }
    },
}
"""OpenAPI's request body of a route that reads a recording."""

# What boundaries and part headers may take beside the file itself.
_ENVELOPE_BYTES = 64 * 1024


class _FilePart:
    """Collects the content of the field `file` while a parser goes through the body."""

    def __init__(self, boundary: bytes, limit: int) -> None:
        self.content: bytearray | None = None
        self.fields: list[str] = []
        self.ended = False
        self._limit = limit
        self._collecting = False
        self._header_name = b""
        self._header_value = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def _on_part_begin(self) -> None:
        self._collecting = False
        self._header_name = self._header_value = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self._header_value)
            name = options.get(b"name", b"").decode("utf-8", "replace")
            self.fields.append(name)
            if name == FIELD:
                if self.content is not None:
                    raise _malformed(f"the field {FIELD!r} occurs more than once; send one file")
                self.content = bytearray()
                self._collecting = True
        self._header_name = self._header_value = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._collecting or self.content is None:
            return
        if len(self.content) + end - start > self._limit:
            raise too_large(self._limit)
        self.content += data[start:end]

    def _on_end(self) -> None:
        self.ended = True


async def read_file(request: Request, limit: int) -> bytearray:
    """Return the content of the multipart field `file`, of at most `limit` bytes.

    Bytes are counted as they arrive: what is over the limit is refused before it is held.

    Raises:
        ProblemError: not multipart, no such field, malformed, cut short or too large.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if media_type != b"multipart/form-data" or not boundary:
        raise ProblemError(
            "unsupported-media-type",
            "The request is not a multipart form",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"send multipart/form-data with the recording in the field {FIELD!r}, "
            f"as `curl -F {FIELD}=@clip.wav` does",
        )
    part = _FilePart(boundary, limit)
    try:
        async for chunk in _bounded(request, limit + _ENVELOPE_BYTES, limit):
            part.feed(chunk)
    except MultipartParseError as error:
        raise _malformed(f"the multipart body cannot be parsed: {error}") from error
    if not part.ended:
        raise _malformed("the multipart body ends before its closing boundary")
    if part.content is None:
        found = ", ".join(repr(name) for name in part.fields) or "no fields"
        raise ProblemError(
            "missing-file",
            "The recording is missing",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"send the recording in the multipart field {FIELD!r}; the request has {found}",
        )
    return part.content


def too_large(limit: int) -> ProblemError:
    """The problem of a file of more than `limit` bytes."""
    return ProblemError(
        "file-too-large",
        "The file is too large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the file is larger than the {limit} bytes that are accepted",
    )


async def _bounded(request: Request, body_limit: int, limit: int) -> AsyncIterator[bytes]:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > body_limit:
        raise too_large(limit)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > body_limit:
            raise too_large(limit)
        yield chunk


def _malformed(detail: str) -> ProblemError:
    title = "The multipart body is malformed"
    return ProblemError("malformed-multipart", title, HTTPStatus.BAD_REQUEST, detail)
