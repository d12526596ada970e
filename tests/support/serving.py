"""A client of a real server process on a real socket."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from bench.servers import Log, Server, Setting, peak_memory, process_tree, start


class ServerClient(httpx.Client):
    """A client of one server process."""

    def __init__(self, server: Server) -> None:
        super().__init__(base_url=server.url(), timeout=60)
        self._process = server.process
        self.log: Log = server.log

    @property
    def process_id(self) -> int:
        """The id of the server, or of the parent of its workers."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the server's process."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Return the exit code of the server's process, once it has ended."""
        return self._process.wait(seconds)

    def children(self) -> list[int]:
        """Return the ids of the processes that the server has started (Linux)."""
        return process_tree(self.process_id)[1:]

    def peak_memory(self) -> int:
        """Return the most memory that the server's process has held so far, bytes (Linux)."""
        return peak_memory(self.process_id)


@contextmanager
def serve(**settings: Setting) -> Iterator[ServerClient]:
    """Run `python -m app` with `EARSHOT_<NAME>` settings; yields a client of it."""
    with start(settings=settings) as server, ServerClient(server) as client:
        yield client
