"""Server processes under test, one at a time or side by side."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PATH = "/classify/urban-sound"
_PATIENCE_SECONDS = 120.0

COMMANDS: Mapping[str, list[str]] = {
    "earshot": ["-m", "app"],
    "naive": ["-m", "uvicorn", "benchmarks.naive_server:app", "--log-level", "warning", "--port"],
}


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    """that clips are posted to"""
    process_id: int
    first_answer_seconds: float
    """from the start of the process to its first answer"""

    def resident_bytes(self) -> int:
        """Memory that the process holds in RAM (Linux)."""
        pages = int(Path(f"/proc/{self.process_id}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serve(name: str, clip: bytes, **environment: str) -> Iterator[Server]:
    """Run a server of `COMMANDS` until the block ends; it has answered `clip` once."""
    port = _free_port()
    command = [sys.executable, *COMMANDS[name]]
    if name == "earshot":
        environment = {"EARSHOT_PORT": str(port), "EARSHOT_LOG_LEVEL": "warning", **environment}
    else:
        command.append(str(port))
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        url = f"http://127.0.0.1:{port}{PATH}"
        _wait_for_answer(url, clip, process)
        yield Server(url, process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(30)


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
