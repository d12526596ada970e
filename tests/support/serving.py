"""A real server process on a real socket."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.servers import end

_STARTUP_SECONDS = 60
_ADDRESS = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


class Log:
    """Reads a process's output to its end, and finds the address in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self.address: str | None = None
        self.settled = threading.Event()
        self._grown = threading.Condition()
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._grown:
                self.lines.append(line)
                self._grown.notify_all()
            if found := _ADDRESS.search(line):
                self.address = found[1]
                self.settled.set()
        self.settled.set()

    def wait_for(self, wanted: Callable[[str], bool]) -> str:
        """The first line that is `wanted`; fails when there is none within 30 s."""

        def found() -> str | None:
            return next(filter(wanted, self.lines), None)

        with self._grown:
            line = self._grown.wait_for(found, 30)
        assert line is not None, "".join(self.lines)
        return line


class ServerClient(httpx.Client):
    """A client of one server process."""

    def __init__(self, address: str, process: subprocess.Popen[str], log: Log) -> None:
        super().__init__(base_url=address, timeout=60)
        self._process = process
        self.log = log

    @property
    def process_id(self) -> int:
        """Of the server, or of the parent of its workers."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the server's process."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """The exit code of the server's process, once it has ended."""
        return self._process.wait(seconds)

    def children(self) -> list[int]:
        """Ids of the processes that the server has started (Linux)."""
        tasks = Path(f"/proc/{self.process_id}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def peak_memory(self) -> int:
        """The most memory that the server's process has held so far, in bytes (Linux)."""
        status = Path(f"/proc/{self.process_id}/status").read_text()
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
        log = Log(process)
        assert log.settled.wait(_STARTUP_SECONDS), "the server says nothing"
        assert log.address is not None, "".join(log.lines)
        with ServerClient(log.address, process, log) as client:
            yield client
    finally:
        end(process)
