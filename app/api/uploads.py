"""Uploads: the slot, the bytes and the deadline of a request that sends recordings."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from app.api.admission import AdmissionSlot
from app.api.multipart import FIELD, FilePart, FilePartParser
from app.api.problems import ProblemError, deadline_exceeded
from app.api.state import AppState
from app.settings import Settings

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
RECORDING_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}}
        },
        **RAW_CONTENT,
    },
}
"""the OpenAPI entry of a body for `Upload.read_recording`"""
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
"""the OpenAPI entry of a body for `Upload.read_files`"""

# Bytes of boundaries and part headers beside the file itself.
_ENVELOPE_BYTES = 64 * 1024


class Upload:
    """The upload of one request."""

    def __init__(self, request: Request, slot: AdmissionSlot, settings: Settings) -> None:
        self._request = request
        self._slot = slot
        self._settings = settings
        self._is_disconnected = False

    async def read_recording(self) -> bytes:
        """Read the one recording of the request.

        It is the body, where the content type says sound, video or just bytes; otherwise the
        body has to be a multipart form with the field `file`. Bytes are counted as they arrive:
        those over the limit are refused before they are held.

        Raises:
            ProblemError: too large, too slow, of another content type, or no valid form.
        """
        kind = media_type(self._request)
        if kind.startswith(("audio/", "video/")) or kind == "application/octet-stream":
            return await self.read_body()
        return await self._read_form_file()

    async def read_body(self, limit: int | None = None) -> bytes:
        """Read the whole body.

        Args:
            limit: bytes; None: of the largest file that is accepted.

        Raises ProblemError when there are more, or they come too slowly.
        """
        limit = limit or self._settings.max_upload_bytes
        body = io.BytesIO()
        async for chunk in self._chunks(limit, limit):
            self._slot.reserve(len(chunk))
            body.write(chunk)
        return body.getvalue()

    async def read_files(self) -> AsyncIterator[FilePart]:
        """Yield the files of all multipart fields `file`, each as soon as it has come in.

        The body is read on when the next file is asked for. A file that is too large is skipped,
        and yielded without content.

        Raises:
            ProblemError: not multipart, no such field, malformed, cut short, too large or too slow.
        """
        limit = self._settings.max_batch_bytes
        with _parser_problems():
            parser = self._parser()
            async for chunk in self._chunks(limit, limit):
                for file in parser.feed(chunk):
                    yield file
        _require_end(parser)
        if FIELD not in parser.fields:
            raise _missing_file(parser)

    def release(self, file: FilePart) -> None:
        """Return the memory of a file that is not held any more."""
        self._slot.reserve(-len(file.content or b""))

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Limit the body of a `with` statement, which makes the answer, in time.

        The upload must have been read. The answer is cancelled, too, when its client is gone.

        Raises:
            ProblemError: (503) the deadline passed.
            ClientDisconnect: nobody is there any more to read the answer.
        """
        seconds = self._settings.request_timeout_seconds
        try:
            async with asyncio.timeout(seconds) as timeout:
                watch = asyncio.create_task(self._expire_on_disconnect(timeout))
                try:
                    yield
                finally:
                    watch.cancel()
        except TimeoutError:
            if self._is_disconnected:
                raise ClientDisconnect from None
            raise deadline_exceeded(seconds) from None

    async def _expire_on_disconnect(self, timeout: asyncio.Timeout) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._is_disconnected = True
        timeout.reschedule(asyncio.get_running_loop().time())

    async def _read_form_file(self) -> bytes:
        limit = self._settings.max_upload_bytes
        files: list[FilePart] = []
        with _parser_problems():
            parser = self._parser()
            async for chunk in self._chunks(limit + _ENVELOPE_BYTES, limit):
                files += parser.feed(chunk)
                if parser.over_limit:
                    raise file_too_large(limit)
                if parser.fields.count(FIELD) > 1:
                    raise _malformed(f"the field {FIELD!r} occurs more than once; send one file")
        _require_end(parser)
        if not files or files[0].content is None:
            raise _missing_file(parser)
        return files[0].content

    def _parser(self) -> FilePartParser:
        return FilePartParser(
            multipart_boundary(self._request), self._settings.max_upload_bytes, self._slot.reserve
        )

    async def _chunks(self, body_limit: int, reported_limit: int) -> AsyncIterator[bytes]:
        declared = self._request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > body_limit:
            raise file_too_large(reported_limit)
        received = 0
        body = self._request.stream()
        while True:
            async with self._slot.waiting_for_client():
                chunk = await anext(body, None)
            if chunk is None:
                return
            self._slot.count_received(len(chunk))
            received += len(chunk)
            if received > body_limit:
                raise file_too_large(reported_limit)
            yield chunk


@asynccontextmanager
async def accept_upload(request: Request, state: AppState) -> AsyncIterator[Upload]:
    """Admit a request that sends recordings; its slot is released at the end.

    Raises ProblemError (503) when no slot is free.
    """
    with state.admission.acquire() as slot:
        yield Upload(request, slot, state.settings)


def media_type(request: Request) -> str:
    """Return the content type without its parameters, in lower case; empty without one."""
    name, _ = parse_options_header(request.headers.get("content-type"))
    return name.decode("latin-1")


def multipart_boundary(request: Request) -> bytes:
    """Return the boundary of a multipart form; raises ProblemError where the request holds none."""
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


def file_too_large(limit: int) -> ProblemError:
    """Make the problem of a file of more than `limit` bytes."""
    return ProblemError(
        "file-too-large", f"there are more than the {limit} bytes that are accepted"
    )


def _require_end(parser: FilePartParser) -> None:
    """Raise ProblemError when a form was cut short."""
    if not parser.is_complete:
        raise _malformed("the multipart body ends before its closing boundary")


def _missing_file(parser: FilePartParser) -> ProblemError:
    """Make the problem of a form without a file."""
    found = ", ".join(repr(name) for name in parser.fields) or "no fields"
    return ProblemError(
        "missing-file",
        f"send the recording in the multipart field {FIELD!r}; the request has {found}",
    )


def _malformed(detail: str) -> ProblemError:
    """Make the problem of an invalid form."""
    return ProblemError("malformed-multipart", detail)


@contextmanager
def _parser_problems() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise _malformed(f"the multipart body cannot be parsed: {error}") from error
