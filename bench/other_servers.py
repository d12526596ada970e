"""Server processes under test, one at a time or side by side."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.servers import end, family, free_port, resident_bytes

PATH = "/classify/urban-sound"
_PATIENCE_SECONDS = 120.0

COMMANDS: Mapping[str, list[str]] = {
    "earshot": ["-m", "app"],
    "naive": ["-m", "uvicorn", "bench.naive_server:app", "--log-level", "warning", "--port"],
    "litserve": ["-m", "bench.litserve_server"],
}
"""what Python is given; all but Earshot take their port as the last argument"""


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process_id: int
    first_answer_seconds: float
    """from the start of the process to its first answer"""

    @property
    def url(self) -> str:
        """That clips are posted to."""
        return _url(self.port)

    @property
    def address(self) -> tuple[str, int]:
        """That it listens on."""
        return "127.0.0.1", self.port

    def resident_bytes(self) -> int:
        """Memory that the process and its children hold in RAM (Linux)."""
        return resident_bytes(family(self.process_id))

    def cpu_seconds(self) -> float:
        """Time that the process and its children have had a core (Linux)."""
        return sum(map(_ticks, family(self.process_id))) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(name: str, clip: bytes, **environment: str) -> Iterator[Server]:
    """Run a server of `COMMANDS` until the block ends; it has answered `clip` once."""
    port = free_port()
    command = [sys.executable, *COMMANDS[name]]
    if name == "earshot":
        environment = {"EARSHOT_PORT": str(port), "EARSHOT_LOG_LEVEL": "warning", **environment}
    else:
        command.append(str(port))
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        _wait_for_answer(_url(port), clip, process)
        yield Server(port, process.pid, time.perf_counter() - started)
    finally:
        end(process)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}{PATH}"


def _wait_for_answer(url: str, clip: bytes, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.post(url, files={"file": ("clip.wav", clip)}, timeout=60).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.01)  # nothing listens yet
        else:
            return
    raise RuntimeError(f"{url} did not answer")


def _ticks(process_id: int) -> int:
    """Of a core, in user and kernel mode: fields 14 and 15 of `stat` (proc(5))."""
    # The second, the program's name, may hold anything.
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
