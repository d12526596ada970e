"""Recordings on their way to the service: read while they are sent, never held whole."""

import io
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import anyio

Recording = str | os.PathLike[str] | bytes | bytearray | BinaryIO
"""a path, the bytes of a file, or a file that is open in binary mode"""

_CHUNK_BYTES = 1 << 16


class Upload:
    """The rest of an open file, from where it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.repeatable = file.seekable()
        """whether it can be sent a second time"""
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

    async def async_chunks(self) -> AsyncIterator[bytes]:
        """Do as `chunks`, on a worker thread."""
        chunks = self.chunks()
        while chunk := await anyio.to_thread.run_sync(next, chunks, b""):
            yield chunk


@contextmanager
def opened(recording: Recording) -> Iterator[Upload]:
    """Open a recording; a file that was open already stays so.

    Raises OSError when a path cannot be opened.
    """
    if isinstance(recording, bytes | bytearray):
        yield Upload(io.BytesIO(recording))
    elif isinstance(recording, str | os.PathLike):
        with Path(recording).open("rb") as file:
            yield Upload(file)
    else:
        yield Upload(recording)
