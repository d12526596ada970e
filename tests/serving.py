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


@contextmanager
def serve(**settings: str | int | float | Path) -> Iterator[httpx.Client]:
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
        with httpx.Client(base_url=log.address, timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)
