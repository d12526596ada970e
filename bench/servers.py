"""Start servers as processes and measure the resources that they use. The tests use it too."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from bench.load import Address

URBAN_SOUND = "/classify/urban-sound"
PROGRAMS: Mapping[str, Sequence[str]] = {
    "earshot": ("-m", "app"),
    "litserve": ("-m", "bench.litserve_server"),
    "naive": ("-m", "bench.naive_server"),
}
"""server -> arguments of Python; all but Earshot take their port as the last argument"""
Setting = str | float | Path
_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class ResourceUsage:
    """Resources that the processes of a server use together."""

    resident_bytes: int
    """memory in RAM"""
    files: int
    """open file descriptors"""
    threads: int


class Log:
    """The lines that a server has written to stderr so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._final: bytes | None = None

    @property
    def text(self) -> str:
        """The whole log."""
        return self._read().decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines that are complete."""
        return [line for line in self.text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for(self, matches: Callable[[str], bool]) -> str:
        """Return the first line that matches. Raises TimeoutError when none comes."""
        found: list[str] = []

        def is_there() -> bool:
            found[:] = filter(matches, self.lines)
            return bool(found)

        wait_until(is_there, seconds=30)
        return found[0]

    def freeze(self) -> None:
        """Read the log for the last time, before its file is closed."""
        self._final = self._read()

    def _read(self) -> bytes:
        if self._final is not None:
            return self._final
        # The server shares the file's position, so that reading must not move it.
        descriptor = self._file.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


class Server:
    """A server that runs."""

    def __init__(
        self, process: subprocess.Popen[bytes], address: Address, log: Log, started_at: float
    ) -> None:
        self.process = process
        self.address = address
        self.log = log
        self._started_at = started_at

    def url(self, path: str = "") -> str:
        """Return the URL of a path."""
        host, port = self.address
        return f"http://{host}:{port}{path}"

    def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of `GET path`. Raises OSError when nobody answers."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Return whether Earshot says that it can answer."""
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def seconds_to_first_answer(self, clip: bytes) -> float:
        """Classify `clip`; return the seconds from the start of the process to its answer."""

        def is_answered() -> bool:
            try:
                answer = httpx.post(self.url(URBAN_SOUND), files={"file": clip}, timeout=60)
            except httpx.TransportError:
                return False
            return answer.is_success

        wait_until(is_answered)
        return time.perf_counter() - self._started_at

    def workers(self) -> set[int]:
        """Return the ids of the processes that serve, where there are several (Linux)."""
        children = _children(self.process.pid)
        return {one for one in children if b"spawn_main" in _read(Path(f"/proc/{one}/cmdline"))}

    def resource_usage(self) -> ResourceUsage:
        """Measure the resources of the server and its child processes (Linux)."""
        processes = process_tree(self.process.pid)
        return ResourceUsage(
            resident_bytes=sum(map(resident_bytes, processes)),
            files=sum(map(open_files, processes)),
            threads=sum(_count(Path(f"/proc/{one}/task")) for one in processes),
        )

    def cpu_seconds(self) -> float:
        """Return the processor time that the server and its child processes have taken (Linux)."""
        return sum(map(_ticks, process_tree(self.process.pid))) / os.sysconf("SC_CLK_TCK")


@contextmanager
def start(
    program: str = "earshot",
    settings: Mapping[str, Setting] | None = None,
    *,
    stderr: BinaryIO | None = None,
    folder: Path | None = None,
) -> Iterator[Server]:
    """Run a server until the block ends; it accepts connections when it is yielded.

    Args:
        program: key of `PROGRAMS`.
        settings: Earshot's, in lower case and without the prefix `EARSHOT_`.
        stderr: where the log goes, if not to `Server.log`.
        folder: the checkout that it is run from; None: the current one.

    Raises RuntimeError when the server ends instead.
    """
    port = free_port()
    environment = {
        f"EARSHOT_{name.upper()}": str(value) for name, value in (settings or {}).items()
    }
    arguments = [*PROGRAMS[program]]
    if program == "earshot":
        environment["EARSHOT_PORT"] = str(port)
    else:
        arguments.append(str(port))
    with tempfile.TemporaryFile() as file:
        log = Log(file)
        started_at = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=stderr or file,
        )
        server = Server(process, ("127.0.0.1", port), log, started_at)
        try:
            wait_until(lambda: process.poll() is not None or _accepts_connections(server.address))
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {log.text}")
            yield server
        finally:
            stop(process)
            log.freeze()


@contextmanager
def start_ready(
    *, stderr: BinaryIO | None = None, folder: Path | None = None, **settings: Setting
) -> Iterator[Server]:
    """Run Earshot as `start` does, with a short log; it is ready when it is yielded."""
    settings = {"log_level": "error"} | settings
    with start(settings=settings, stderr=stderr, folder=folder) as server:
        wait_until(server.is_ready)
        yield server


def stop(process: subprocess.Popen[Any]) -> None:
    """End a server; raises TimeoutExpired when it has to be killed after a minute."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], *, seconds: float = _TIMEOUT_SECONDS) -> None:
    """Return as soon as `condition` holds. Raises TimeoutError when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def process_tree(process_id: int) -> list[int]:
    """Return a process and all that it and its children have started (Linux)."""
    children = _children(process_id)
    return [process_id, *(one for child in children for one in process_tree(child))]


def open_files(process_id: int) -> int:
    """Count the file descriptors of a process (Linux)."""
    return _count(Path(f"/proc/{process_id}/fd"))


def resident_bytes(process_id: int) -> int:
    """Return the memory that a process holds in RAM (Linux)."""
    pages = int(_read(Path(f"/proc/{process_id}/statm")).split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_memory(process_id: int) -> int:
    """Return the most memory that a process has held in RAM so far, in bytes (Linux)."""
    found = re.search(rb"VmHWM:\s+(\d+) kB", _read(Path(f"/proc/{process_id}/status")))
    return int(found[1]) * 1024 if found else 0


def _accepts_connections(address: Address) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True


def _children(process_id: int) -> list[int]:
    """Return the processes that any thread of a process has started."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(child) for task in tasks for child in _read(task, b"").split()]


def _ticks(process_id: int) -> int:
    """Return the clock ticks in user and kernel mode: fields 14 and 15 of `stat` (proc(5))."""
    # The second, the program's name, may hold anything.
    fields = _read(Path(f"/proc/{process_id}/stat"), b")" + 20 * b" 0").rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def _read(file: Path, missing: bytes = b"0 0") -> bytes:
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # the process has ended
        return missing


def _count(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except FileNotFoundError:  # the process has ended
        return 0
