"""Take a recording in base64 out of a JSON object as its chunks come in.

A parser of JSON would hold the text, the recording and whatever else a client makes of as many
bytes: a list of empty lists is a hundred times as large in memory.
"""

import binascii
import io
import json
import re
from collections.abc import Callable

MAX_OTHER_BYTES = 4096
"""of the object, beside the recording"""
_STRUCTURE = re.compile(rb'["{}\[\]:,]')
_IN_STRING = re.compile(rb'["\\]')
_WHITESPACE = b" \t\r\n"
# Encoders of JSON may escape `/`, `+` and `=`, and line breaks have to be.
_ESCAPE = re.compile(rb"\\(?:u00([0-9a-fA-F]{2})|([/nrt]))")
_UNFINISHED_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?$")
_SPACES = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_URI, _MAX_URI_PREFIX = b"data:", 200


class JsonRecordingError(ValueError):
    """The body is no JSON object with a recording; the message says why."""


class JsonRecordingParser:
    """Parses `{"inputs": "...", ...}`, the recording apart from the rest.

    Lines may be broken, and the recording may be a data URI (RFC 2397).
    """

    def __init__(self, name: str, accept: Callable[[int], None]) -> None:
        """Expect the recording under the key `name`.

        `accept` is called with the bytes that will be held more; an error that it raises ends the
        reading.
        """
        self._name = name
        self._accept = accept
        self._other = bytearray()
        self._recording: io.BytesIO | None = None
        self._in_recording = self._in_string = self._is_escaped = False
        self._depth = 0
        self._before = b""  # the last byte of structure
        self._string_start = 0
        self._key: str | None = None
        self._escape = b""  # an unfinished one
        self._digits = b""  # of base64, fewer than four
        self._prefix: bytes | None = b""  # of a data URI; None once the base64 has begun
        self._is_padded = False

    def feed(self, chunk: bytes) -> None:
        """Parse the next chunk of the body.

        Raises JsonRecordingError where the recording is no base64, or there is too much else.
        """
        position = 0
        while position < len(chunk):
            if self._in_recording:
                position = self._read_recording(chunk, position)
            else:
                position = self._read_other(chunk, position)

    def finish(self) -> tuple[bytes, bytes]:
        """Return the recording, or nothing, and the object with an empty one, as JSON."""
        recording = b"" if self._recording is None else self._recording.getvalue()
        return recording, bytes(self._other)

    def _read_other(self, chunk: bytes, start: int) -> int:
        """Read up to the end of the next token; return the position after it."""
        if self._is_escaped:
            self._is_escaped = False
            return self._keep(chunk, start, start + 1)
        found = (_IN_STRING if self._in_string else _STRUCTURE).search(chunk, start)
        if found is None:
            return self._keep(chunk, start, len(chunk))
        end = self._keep(chunk, start, found.end())
        byte = found[0]
        if self._in_string:
            self._is_escaped = byte == b"\\"
            if byte == b'"':
                self._end_string()
        elif byte == b'"':
            self._begin_string()
        else:
            self._depth += (byte in b"{[") - (byte in b"}]")
            self._before = byte
        return end

    def _keep(self, chunk: bytes, start: int, end: int) -> int:
        if len(self._other) + end - start > MAX_OTHER_BYTES:
            raise JsonRecordingError(
                f"there are more than {MAX_OTHER_BYTES} bytes beside the recording in {self._name}"
            )
        self._other += chunk[start:end]
        return end

    def _begin_string(self) -> None:
        is_value = self._depth == 1 and self._before == b":"
        if is_value and self._key == self._name and self._recording is None:
            self._other += b'"'
            self._recording = io.BytesIO()
            self._in_recording = True
        else:
            self._string_start = len(self._other) - 1
            self._in_string = True

    def _end_string(self) -> None:
        self._in_string = False
        if self._depth == 1 and self._before in (b"{", b","):
            try:
                self._key = json.loads(self._other[self._string_start :])
            except ValueError:  # whoever parses the rest will say so
                self._key = None

    def _read_recording(self, chunk: bytes, start: int) -> int:
        end = chunk.find(b'"', start)
        text = self._escape + chunk[start : None if end < 0 else end]
        self._escape = b""
        if b"\\" in text:
            if end < 0 and (unfinished := _UNFINISHED_ESCAPE.search(text)):
                self._escape = unfinished[0]
                text = text[: unfinished.start()]
            text = _ESCAPE.sub(_unescape, text)
        self._decode(self._without_prefix(text.translate(None, _WHITESPACE), is_last=end >= 0))
        if end < 0:
            return len(chunk)
        if self._digits:
            raise self._no_base64()
        self._in_recording = False
        self._before = b'"'
        return end + 1

    def _without_prefix(self, text: bytes, *, is_last: bool) -> bytes:
        """Take the beginning of a data URI away."""
        if self._prefix is None:
            return text
        self._prefix += text
        if self._prefix[: len(_URI)] == _URI:
            _, comma, rest = self._prefix.partition(b",")
            if not comma and len(self._prefix) > _MAX_URI_PREFIX:
                raise self._no_base64()
            if not comma:
                return b""
        elif not is_last and _URI.startswith(self._prefix):
            return b""
        else:
            rest = self._prefix
        self._prefix = None
        return rest

    def _decode(self, text: bytes) -> None:
        if not text:
            return
        if self._is_padded or self._recording is None:
            raise self._no_base64()
        text = self._digits + text
        whole = len(text) // 4 * 4
        text, self._digits = text[:whole], text[whole:]
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise self._no_base64() from None
        self._is_padded = text.endswith(b"=")
        self._accept(len(data))
        self._recording.write(data)

    def _no_base64(self) -> JsonRecordingError:
        return JsonRecordingError(f"{self._name}: should be a recording in base64")


def _unescape(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return bytes([int(escape[1], 16)])
    return _SPACES.get(escape[2], escape[2])
