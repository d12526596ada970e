"""Parse the files of a multipart body as its chunks come in."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

FIELD = "file"
OTHER_PARTS = 20
"""parts of a form beside those that may be files"""
_NAME_BYTES = 100
_FILENAME_BYTES = 255
_PREAMBLE_BYTES = 64 * 1024
_MAX_BLANKS = 1000
_BLANKS = re.compile(rb"[ \t]+")
_EXTENDED_FILENAME = re.compile(
    rb";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^';]*'([^\s;'\"]+)", re.IGNORECASE
)
# Of the headers of a part; more is no form that a browser or a program sends.
_HEADERS, _HEADER_BYTES = 8, 2048


@dataclass(frozen=True)
class FilePart:
    """One part of the field `file`."""

    filename: str | None
    content: bytes | None
    """None where it is larger than is accepted"""


class FilePartParser:
    """Parses the parts of the field `file` out of a body; others are read and dropped.

    Bytes over the limit are never held, and nothing is once this object is closed or dropped: the
    parts do not know the parser that calls them, so that no cycle waits for the garbage collector.
    """

    def __init__(
        self, boundary: bytes, limit: int, reserve: Callable[[int], None], *, max_parts: int
    ) -> None:
        """Expect parts between `boundary`.

        Args:
            boundary: as the content type says.
            limit: bytes of a file.
            reserve: is called with the bytes that will be held, or with a negative number for
                those that are not any more; an error that it raises ends the reading.
            max_parts: parts that the body may have.
        """
        self._max_parts = max_parts
        self._preamble = _Preamble(boundary)
        self._parts = parts = _Parts(limit, reserve)
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.add_header_name,
                "on_header_value": parts.add_header_value,
                "on_header_end": parts.end_header,
                "on_part_data": parts.add_content,
                "on_part_end": parts.end,
                "on_end": parts.end_body,
            },
            max_header_count=_HEADERS,
            max_header_size=_HEADER_BYTES,
        )

    @property
    def fields(self) -> list[str]:
        """Names of all parts so far, the beginnings of long ones."""
        return self._parts.fields

    @property
    def is_complete(self) -> bool:
        """Whether the closing boundary was read."""
        return self._parts.is_complete

    @property
    def over_limit(self) -> bool:
        """Whether a file was larger than is accepted."""
        return self._parts.over_limit

    def feed(self, chunk: bytes) -> list[FilePart]:
        """Parse the next chunk of the body, and return the files that end in it.

        Raises FormParserError where it violates RFC 7578.
        """
        self._parser.write(self._preamble.feed(chunk))
        return self._parts.take_finished()

    def close(self) -> None:
        """Drop what is held of a file that has not ended."""
        self._parts.drop()

    def require_few(self) -> None:
        """Raise FormParserError where there are more parts than the body may have."""
        if self._parts.count > self._max_parts:
            raise FormParserError(f"it has more than {self._max_parts} parts")


class _Preamble:
    """Brings the beginning of a body into the one form that python-multipart reads.

    RFC 2046 (section 5.1.1) allows text before the first delimiter, and blanks behind each; those
    behind the first one are not known to it.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._held = b"\r\n"  # of what came; the first delimiter may have no line before it
        self._bytes = 0
        """that came before the first delimiter"""
        self._is_over = False

    def feed(self, chunk: bytes) -> bytes:
        """Return what is known so far of the body, without its preamble.

        Raises FormParserError where no delimiter comes.
        """
        if self._is_over:
            return chunk
        data = self._held + chunk
        begin = data.find(self._delimiter)
        if begin < 0:
            self._bytes += len(chunk)
            if self._bytes > _PREAMBLE_BYTES:
                raise FormParserError(f"no boundary in its first {_PREAMBLE_BYTES} bytes")
            self._held = data[1 - len(self._delimiter) :]
            return b""
        end = begin + len(self._delimiter)
        blanks = _BLANKS.match(data, end, end + _MAX_BLANKS)
        following = end if blanks is None else blanks.end()
        if following == len(data):
            self._held = data[begin:]
            return b""
        self._is_over = True
        begin += len(b"\r\n")
        return data[begin:] if blanks is None else data[begin:end] + data[following:]


def _extended_filename(header: bytes) -> str | None:
    """Return the `filename*` of a header (RFC 8187); None where it has none that can be read."""
    found = _EXTENDED_FILENAME.search(header)
    if found is None:
        return None
    try:
        encoding, name = (each.decode("ascii") for each in found.groups())
        return unquote(name, encoding, "strict")[:_FILENAME_BYTES]
    except (LookupError, UnicodeDecodeError):
        return None


class _Parts:
    """The parts of a body, built by the callbacks of a parser."""

    def __init__(self, limit: int, reserve: Callable[[int], None]) -> None:
        self.count = 0
        self.fields: list[str] = []
        self.is_complete = False
        self.over_limit = False
        self._limit = limit
        self._reserve = reserve
        self._finished: list[FilePart] = []
        self._filename: str | None = None
        self._content: io.BytesIO | None = None
        self._is_file = False
        self._header_name = b""
        self._header_value = b""

    def take_finished(self) -> list[FilePart]:
        finished, self._finished = self._finished, []
        return finished

    def drop(self) -> None:
        self._content = None
        self._finished = []

    def begin(self) -> None:
        self.count += 1
        self._is_file = False
        self._filename = None
        self._header_name = self._header_value = b""

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self._header_value)
            name = options.get(b"name", b"")[:_NAME_BYTES].decode("utf-8", "replace")
            self.fields.append(name)
            if name == FIELD:
                self._is_file = True
                self._content = io.BytesIO()
                self._filename = _extended_filename(self._header_value)
                if self._filename is None and (filename := options.get(b"filename")) is not None:
                    self._filename = filename[:_FILENAME_BYTES].decode("utf-8", "replace")
        self._header_name = self._header_value = b""

    def add_content(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file or self._content is None:
            return
        if self._content.tell() + end - start > self._limit:
            self._reserve(-self._content.tell())
            self._content = None
            self.over_limit = True
        else:
            self._reserve(end - start)
            self._content.write(memoryview(data)[start:end])

    def end(self) -> None:
        if self._is_file:
            # `BytesIO` hands out its own buffer: the file is held once.
            content = None if self._content is None else self._content.getvalue()
            self._finished.append(FilePart(self._filename, content))
            self._content = None

    def end_body(self) -> None:
        self.is_complete = True
