"""Uploads: the slot, the bytes and the deadline of a request that sends recordings."""

import io
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.api.admission import AdmissionController, AdmissionSlot
from app.api.deadline import answer_deadline
from app.api.json_recording import MAX_OTHER_BYTES, JsonRecordingError, JsonRecordingParser
from app.api.multipart import FIELD, OTHER_PARTS, FilePart, FilePartParser
from app.api.parameters import require_no_options
from app.api.problems import ProblemError, invalid_parameter
from app.api.state import AppState
from app.settings import Settings

_BINARY = {
    "type": "string",
    "format": "binary",
    "description": "WAV, FLAC, AIFF, Ogg, MP3, M4A, MP4, AAC or WebM",
}
RAW_CONTENT: dict[str, Any] = {"application/octet-stream": {"schema": _BINARY}}
"""the OpenAPI entry of a body that is a recording and nothing else; types of sound and video are
accepted too, but makers of clients do not know them, and would make one function of each"""
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
# Base64 is for clips: a whole recording is sent as it is.
_MAX_JSON_RECORDING = 16 * 1024 * 1024
_MAX_CONTENT_TYPE = 1024
_TOLD_FIELDS = 20


class Upload:
    """The upload of one request."""

    def __init__(self, request: Request, slot: AdmissionSlot, settings: Settings) -> None:
        self._request = request
        self._slot = slot
        self._settings = settings

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

    async def read_body(self) -> bytes:
        """Read the whole body, as one file.

        Raises ProblemError when it is too large, or comes too slowly.
        """
        limit = self._settings.max_upload_bytes
        body = io.BytesIO()
        async for chunk in self._chunks(limit, limit):
            self._slot.reserve(len(chunk))
            body.write(chunk)
        return body.getvalue()

    async def read_json(self, name: str) -> tuple[bytes, bytes]:
        """Read a JSON object in which a recording is in base64, decoded as it comes.

        Args:
            name: the key of the recording.

        Returns:
            the recording, empty where there is none, and the object with an empty one, as JSON.

        Raises ProblemError when the recording is too large or no base64, there is too much beside
        it, or it comes too slowly.
        """
        limit = min(self._settings.max_upload_bytes, _MAX_JSON_RECORDING)
        held = 0

        def accept(count: int) -> None:
            nonlocal held
            held += count
            if held > limit:
                raise _json_too_large(limit)
            self._slot.reserve(count)

        parser = JsonRecordingParser(name, accept)
        # Lines may be broken, and characters escaped.
        async for chunk in self._chunks(2 * limit + MAX_OTHER_BYTES, limit):
            try:
                parser.feed(chunk)
            except JsonRecordingError as error:
                raise invalid_parameter(str(error)) from None
        return parser.finish()

    async def read_files(self) -> AsyncGenerator[FilePart, None]:
        """Yield the files of all multipart fields `file`, each as soon as it has come in.

        The body is read on when the next file is asked for. A file that is too large is skipped,
        and yielded without content.

        Raises:
            ProblemError: not multipart, no such field, malformed, cut short, too large or too slow.
        """
        limit = self._settings.max_batch_bytes
        # One file more, so that whoever counts them can say that there are too many.
        with self._parsing(self._settings.max_batch_files + 1) as parser:
            async for chunk in self._chunks(limit, limit):
                for file in parser.feed(chunk):
                    yield file
                parser.require_few()
        self._require_form(parser)
        if FIELD not in parser.fields:
            raise _missing_file(parser)

    def release(self, file: FilePart) -> None:
        """Return the memory of a file that is not held any more."""
        self._slot.reserve(-len(file.content or b""))

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Limit the body of a `with` statement, which makes the answer; see `answer_deadline`."""
        async with answer_deadline(self._request, self._settings.request_timeout_seconds):
            yield

    async def _read_form_file(self) -> bytes:
        limit = self._settings.max_upload_bytes
        files: list[FilePart] = []
        with self._parsing(1) as parser:
            async for chunk in self._chunks(limit + _ENVELOPE_BYTES, limit):
                files += parser.feed(chunk)
                if parser.over_limit:
                    raise file_too_large(limit)
                if parser.fields.count(FIELD) > 1:
                    raise _malformed(f"the field {FIELD!r} occurs more than once; send one file")
                parser.require_few()
        self._require_form(parser)
        if not files or files[0].content is None:
            raise _missing_file(parser)
        return files[0].content

    @contextmanager
    def _parsing(self, max_files: int) -> Iterator[FilePartParser]:
        """Parse a form; raises ProblemError where it is none, and holds nothing of it afterwards.

        An exception may outlive the request for a while, and with it all variables on its way.
        """
        try:
            parser = FilePartParser(
                multipart_boundary(self._request),
                self._settings.max_upload_bytes,
                self._slot.reserve,
                max_parts=max_files + OTHER_PARTS,
            )
            with closing(parser):
                yield parser
        except FormParserError as error:
            raise _malformed(f"the multipart body cannot be parsed: {error}") from error

    def _require_form(self, parser: FilePartParser) -> None:
        """Raise ProblemError when a form was cut short, or has fields that are meant as options."""
        if not parser.is_complete:
            raise _malformed("the multipart body ends before its closing boundary")
        require_no_options(self._request, (name for name in parser.fields if name != FIELD))

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
async def accept_upload(
    request: Request, state: AppState, admission: AdmissionController | None = None
) -> AsyncIterator[Upload]:
    """Admit a request that sends recordings; its slot is released at the end.

    Args:
        request: the request.
        state: of the service.
        admission: has the slots; None: those of all requests that classify.

    Raises ProblemError when the body is compressed (415), or no slot is free (503).
    """
    require_plain(request)
    with (admission or state.admission).acquire() as slot:
        yield Upload(request, slot, state.settings)


def require_plain(request: Request) -> None:
    """Raise ProblemError where the body is compressed, which no recording gains from."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise ProblemError(
            "unsupported-media-type",
            f"the body has the content encoding {coding[:50]!r}; send it as it is, without one",
            headers={"Accept-Encoding": "identity"},
        )


def media_type(request: Request) -> str:
    """Return the content type without its parameters, in lower case; empty without one."""
    name, _ = _content_type(request)
    return name.decode("latin-1")


def _content_type(request: Request) -> tuple[bytes, dict[bytes, bytes]]:
    # Parsing takes a time that grows with its square.
    value = request.headers.get("content-type", "")
    return parse_options_header(value if len(value) <= _MAX_CONTENT_TYPE else None)


def multipart_boundary(request: Request) -> bytes:
    """Return the boundary of a multipart form; raises ProblemError where the request holds none."""
    _, options = _content_type(request)
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


def _json_too_large(limit: int) -> ProblemError:
    return ProblemError(
        "file-too-large",
        f"in JSON, recordings of up to {limit} bytes are accepted; send a larger one as the body",
    )


def _missing_file(parser: FilePartParser) -> ProblemError:
    """Make the problem of a form without a file."""
    found = ", ".join(repr(name) for name in parser.fields[:_TOLD_FIELDS]) or "no fields"
    return ProblemError(
        "missing-file",
        f"send the recording in the multipart field {FIELD!r}; the request has {found}",
    )


def _malformed(detail: str) -> ProblemError:
    """Make the problem of an invalid form."""
    return ProblemError("malformed-multipart", detail)
