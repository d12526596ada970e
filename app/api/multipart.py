"""Parse the files of a multipart body as its chunks come in."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from python_multipart.multipart import MultipartParser, parse_options_header

FIELD = "file"


@dataclass(frozen=True)
class FilePart:
    """One part of the field `file`."""

    filename: str | None
    content: bytes | None
    """None where it is larger than is accepted"""


class FilePartParser:
    """Parses the parts of the field `file` out of a body; others are read and dropped.

    Bytes over the limit are never held.
    """

    def __init__(self, boundary: bytes, limit: int, reserve: Callable[[int], None]) -> None:
        """Expect parts between `boundary`.

        Args:
            boundary: as the content type says.
            limit: bytes of a file.
            reserve: is called with the bytes that will be held, or with a negative number for
                those that are not any more; an error that it raises ends the reading.
        """
        self.fields: list[str] = []
        """names of all parts so far"""
        self.is_complete = False
        """whether the closing boundary was read"""
        self.over_limit = False
        """whether a file was larger than is accepted"""
        self._limit = limit
        self._reserve = reserve
        self._finished: list[FilePart] = []
        self._filename: str | None = None
        self._content: io.BytesIO | None = None
        self._is_file = False
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
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> list[FilePart]:
        """Parse the next chunk of the body, and return the files that end in it.

        Raises MultipartParseError where it violates RFC 7578.
        """
        self._parser.write(chunk)
        finished, self._finished = self._finished, []
        return finished

    def _on_part_begin(self) -> None:
        self._is_file = False
        self._filename = None
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
                self._is_file = True
                self._content = io.BytesIO()
                if (filename := options.get(b"filename")) is not None:
                    self._filename = filename.decode("utf-8", "replace")
        self._header_name = self._header_value = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file or self._content is None:
            return
        if self._content.tell() + end - start > self._limit:
            self._reserve(-self._content.tell())
            self._content = None
            self.over_limit = True
        else:
            self._reserve(end - start)
            self._content.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._is_file:
            # `BytesIO` hands out its own buffer: the file is held once.
            content = None if self._content is None else self._content.getvalue()
            self._finished.append(FilePart(self._filename, content))
            self._content = None

    def _on_end(self) -> None:
        self.is_complete = True
