"""A real server process on a real socket."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_STARTUP_SECONDS = 60
_ADDRESS = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


class _Log:
    """Reads a process's output to its end, and finds the address in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self.address: str | None = None
        self.settled = threading.Event()
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            if found := _ADDRESS.search(line):
                self.address = found[1]
                self.settled.set()
        self.settled.set()


class ServerClient(httpx.Client):
    """A client of one server process."""

    def __init__(self, address: str, process_id: int) -> None:
        super().__init__(base_url=address, timeout=60)
        self._process_id = process_id

    def peak_memory(self) -> int:
        """The most memory that the server's process has held so far, in bytes (Linux)."""
        status = Path(f"/proc/{self._process_id}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@contextmanager
def serve(**settings: str | int | float | Path) -> Iterator[ServerClient]:
    """Run `python -m app` with `EARSHOT_<NAME>` settings; yields a client of it."""
    environment = {f"EARSHOT_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "app"],
        env=os.environ | {"EARSHOT_PORT": "0"} | environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        log = _Log(process)
        assert log.settled.wait(_STARTUP_SECONDS), "the server says nothing"
        assert log.address is not None, "".join(log.lines)
        with ServerClient(log.address, process.pid) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)
