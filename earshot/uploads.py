"""Recordings on their way to the service: read while they are sent, never held whole."""

import io
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import anyio

AudioFile = str | os.PathLike[str] | bytes | bytearray | BinaryIO
"""a path, the bytes of a file, or a file that is open in binary mode, from where it stands"""

_CHUNK_BYTES = 1 << 16


class Upload(Protocol):
    """The body of a request."""

    repeatable: bool
    """whether it can be sent a second time"""
    headers: dict[str, str]

    def chunks(self) -> Iterator[bytes]:
        """Read the body, again from its beginning where it is repeatable."""
        ...


class FileUpload:
    """The rest of an open file, from where it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.repeatable = file.seekable()
        self.headers = {"Content-Type": "application/octet-stream"}
        if self.repeatable:
            self._start = file.tell()
            size = file.seek(0, os.SEEK_END) - self._start
            self.headers["Content-Length"] = str(size)

    def chunks(self) -> Iterator[bytes]:
        """Read the file, again from the same place where it is repeatable."""
        if self.repeatable:
            self._file.seek(self._start)
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk


class MultipartUpload:
    """Many files in one body (RFC 7578), of which one at a time is open."""

    def __init__(self, files: Iterable[AudioFile]) -> None:
        """Open nothing yet; paths give the files their names, others are numbered from 0."""
        self._parts = [_part(index, file) for index, file in enumerate(files)]
        self._boundary = secrets.token_hex(16)
        self.repeatable = all(repeatable for _, repeatable, _ in self._parts)
        self.headers = {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}

    def chunks(self) -> Iterator[bytes]:
        """Read one file after the other.

        Raises OSError when one cannot be opened.
        """
        for name, _, open_upload in self._parts:
            yield (
                f"--{self._boundary}\r\n"
                f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            ).encode(errors="replace")
            with open_upload() as upload:
                yield from upload.chunks()
            yield b"\r\n"
        yield f"--{self._boundary}--\r\n".encode()


@contextmanager
def open_upload(file: AudioFile) -> Iterator[FileUpload]:
    """Open a recording; a file that was open already stays so.

    Raises OSError when a path cannot be opened.
    """
    if isinstance(file, bytes | bytearray):
        yield FileUpload(io.BytesIO(file))
    elif isinstance(file, str | os.PathLike):
        with Path(file).open("rb") as opened:
            yield FileUpload(opened)
    else:
        yield FileUpload(file)


async def read_in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `chunks`, each of which is read on a worker thread."""
    while chunk := await anyio.to_thread.run_sync(next, chunks, b""):
        yield chunk


_Part = tuple[str, bool, Callable[[], AbstractContextManager[FileUpload]]]


def _part(index: int, file: AudioFile) -> _Part:
    """Return a file's name, whether it can be read twice, and a function that opens it."""
    if isinstance(file, str | os.PathLike):
        name = Path(file).name
        # As the HTML standard has it: other escapes are read in other ways.
        for character, escape in (("\n", "%0A"), ("\r", "%0D"), ('"', "%22")):
            name = name.replace(character, escape)
        return name, True, partial(open_upload, file)
    upload = FileUpload(io.BytesIO(file) if isinstance(file, bytes | bytearray) else file)
    return str(index), upload.repeatable, lambda: nullcontext(upload)
