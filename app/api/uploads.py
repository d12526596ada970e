"""Reading the one recording of a request into memory, and no byte more than allowed."""

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.api.admission import Place
from app.api.multipart import FIELD, FilePart, FileParts
from app.api.problems import ProblemError

_BINARY = {
    "type": "string",
    "format": "binary",
    "description": "WAV, FLAC, AIFF, Ogg, MP3, M4A, MP4, AAC or WebM",
}
RAW_CONTENT: dict[str, Any] = {
    media_type: {"schema": _BINARY}
    for media_type in ("audio/*", "video/*", "application/octet-stream")
}
"""the OpenAPI entries of a body that is a recording and nothing else"""
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}}
        },
        **RAW_CONTENT,
    },
}
"""the OpenAPI entry of what `read_upload` reads"""
FILES_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: {"type": "array", "items": _BINARY}},
            }
        }
    },
}
"""the OpenAPI entry of what `read_files` reads"""

# What boundaries and part headers may take beside the file itself.
_ENVELOPE_BYTES = 64 * 1024


def media_type(request: Request) -> str:
    """The request's content type without its parameters, in lower case; empty without one."""
    name, _ = parse_options_header(request.headers.get("content-type"))
    return name.decode("latin-1")


async def read_upload(request: Request, place: Place, limit: int) -> bytes:
    """Return the recording of a request, of at most `limit` bytes.

    It is the body, where the content type says sound, video or just bytes; otherwise the
    body has to be a form, see `read_file`.

    Raises:
        ProblemError: too large, too slow, of another content type, or no form as it should be.
    """
    kind = media_type(request)
    if kind.startswith(("audio/", "video/")) or kind == "application/octet-stream":
        return await read_body(request, place, limit)
    return await read_file(request, place, limit)


async def read_body(request: Request, place: Place, limit: int) -> bytes:
    """Return the whole body, of at most `limit` bytes, counted as they arrive.

    Raises ProblemError when there are more, or they come too slowly.
    """
    body = io.BytesIO()
    async for chunk in _bounded(request, place, limit, limit):
        place.hold(len(chunk))
        body.write(chunk)
    return body.getvalue()


async def read_file(request: Request, place: Place, limit: int) -> bytes:
    """Return the content of the multipart field `file`, of at most `limit` bytes.

    Bytes are counted as they arrive: what is over the limit is refused before it is held.

    Raises:
        ProblemError: not multipart, no such field, malformed, cut short, too large or too slow.
    """
    files: list[FilePart] = []
    with _problems_of_parsing():
        parts = FileParts(boundary_of(request), limit, place.hold)
        async for chunk in _bounded(request, place, limit + _ENVELOPE_BYTES, limit):
            files += parts.feed(chunk)
            if parts.over_limit:
                raise too_large(limit)
            if parts.fields.count(FIELD) > 1:
                raise _malformed(f"the field {FIELD!r} occurs more than once; send one file")
    _require_end(parts)
    if not files or files[0].content is None:
        raise _missing_file(parts)
    return files[0].content


async def read_files(
    request: Request, place: Place, *, limit: int, body_limit: int
) -> AsyncIterator[FilePart]:
    """Yield the files of all multipart fields `file`, each as soon as it has come in.

    Args:
        request: its body is read on when the next file is asked for.
        place: of the request.
        limit: bytes of a file; a larger one is passed over, and yielded without content.
        body_limit: bytes of the whole body.

    Raises:
        ProblemError: not multipart, no such field, malformed, cut short, too large or too slow.
    """
    with _problems_of_parsing():
        parts = FileParts(boundary_of(request), limit, place.hold)
        async for chunk in _bounded(request, place, body_limit, body_limit):
            for file in parts.feed(chunk):
                yield file
    _require_end(parts)
    if FIELD not in parts.fields:
        raise _missing_file(parts)


def boundary_of(request: Request) -> bytes:
    """The boundary of a multipart form; raises ProblemError where the request holds none."""
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if media_type(request) == "multipart/form-data" and boundary:
        return boundary
    raise ProblemError(
        "unsupported-media-type",
        f"send multipart/form-data with the recording in the field {FIELD!r}, as "
        f"`curl -F {FIELD}=@clip.wav` does, or, to routes for a single recording, the recording "
        "as the body with the content type audio/* or application/octet-stream",
    )


def _require_end(parts: FileParts) -> None:
    """Raise ProblemError when a form was cut short."""
    if not parts.ended:
        raise _malformed("the multipart body ends before its closing boundary")


def _missing_file(parts: FileParts) -> ProblemError:
    """The problem of a form without a file."""
    found = ", ".join(repr(name) for name in parts.fields) or "no fields"
    return ProblemError(
        "missing-file",
        f"send the recording in the multipart field {FIELD!r}; the request has {found}",
    )


def _malformed(detail: str) -> ProblemError:
    """The problem of a form that is not as it should be."""
    return ProblemError("malformed-multipart", detail)


@contextmanager
def _problems_of_parsing() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise _malformed(f"the multipart body cannot be parsed: {error}") from error


def too_large(limit: int) -> ProblemError:
    """The problem of a file of more than `limit` bytes."""
    return ProblemError(
        "file-too-large",
        f"there are more than the {limit} bytes that are accepted",
    )


async def _bounded(
    request: Request, place: Place, body_limit: int, limit: int
) -> AsyncIterator[bytes]:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > body_limit:
        raise too_large(limit)
    received = 0
    async for chunk in place.read(request.stream()):
        received += len(chunk)
        if received > body_limit:
            raise too_large(limit)
        yield chunk
