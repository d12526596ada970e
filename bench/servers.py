"""A server process to be hurt, and what it holds."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bench.clients import Address

_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Held:
    """What a server's processes hold together."""

    resident: int
    """bytes"""
    files: int
    threads: int


class Server:
    """`python -m app`, running."""

    def __init__(self, process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
        self.process = process
        self.address = address
        self._log = log

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and content of `GET path`. Raises OSError where there is no answer."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether requests may be sent to it."""
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def workers(self) -> set[int]:
        """Process ids of the children that serve."""
        found = set()
        for child in _children(self.process.pid):
            if b"spawn_main" in _read(Path(f"/proc/{child}/cmdline")):
                found.add(child)
        return found

    def held(self) -> Held:
        """Of the process and its children."""
        processes = family(self.process.pid)
        return Held(
            resident=resident_bytes(processes),
            files=sum(open_files(one) for one in processes),
            threads=sum(_count(Path(f"/proc/{one}/task")) for one in processes),
        )


@contextmanager
def serve(
    *, ready: bool = True, stderr: BinaryIO | None = None, **settings: str | float | Path
) -> Iterator[Server]:
    """Run a server with `EARSHOT_<NAME>` settings until the block ends.

    Args:
        ready: wait until it is; otherwise until it answers at all.
        stderr: where its log goes, if not to a file that `Server.log` reads.
    """
    port = free_port()
    environment = {f"EARSHOT_{name.upper()}": str(value) for name, value in settings.items()}
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            env=os.environ
            | {"EARSHOT_PORT": str(port), "EARSHOT_LOG_LEVEL": "error"}
            | environment,
            stderr=stderr or log.file,
        )
        server = Server(process, ("127.0.0.1", port), Path(log.name))
        try:
            until(lambda: process.poll() is not None or _answers(server, ready))
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {server.log}")
            yield server
        finally:
            end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """End a server; raises TimeoutExpired where it has to be killed after a minute."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def family(process_id: int) -> list[int]:
    """A process and those that its main thread has started (Linux)."""
    return [process_id, *_children(process_id)]


def resident_bytes(processes: Iterable[int]) -> int:
    """Memory that processes hold in RAM (Linux)."""
    pages = [int(_read(Path(f"/proc/{one}/statm")).split()[1]) for one in processes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def open_files(process_id: int) -> int:
    """File descriptors of a process."""
    return _count(Path(f"/proc/{process_id}/fd"))


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again until it is so. Raises TimeoutError after two minutes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def _answers(server: Server, ready: bool) -> bool:
    if ready:
        return server.is_ready()
    try:
        return server.get("/healthz")[0] == 200
    except OSError:
        return False


def _children(process_id: int) -> list[int]:
    return [
        int(one) for one in _read(Path(f"/proc/{process_id}/task/{process_id}/children")).split()
    ]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # it has ended
        return b"0 0"


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
