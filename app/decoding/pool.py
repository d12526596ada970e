"""FFmpeg kept out of this process: files are decoded by others, which may break down over them."""

import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from app.decoding import protocol as messages
from app.decoding.errors import DecoderFailedError
from app.decoding.source import AudioInfo, AudioSource

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_STOP_SECONDS = 0.5
_PIPE_BYTES = 1 << 20
_ENVIRONMENT = ("LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME")
_SAMPLE_BYTES = 4


class DecoderPool:
    """Up to so many processes of `app.decoding.worker`, one file in each at a time.

    They start when they are first needed, and last. One that breaks down, or does not stop when
    it should, is ended and replaced. Safe to use from many threads.
    """

    def __init__(self, count: int, *, seconds: float, memory_bytes: int) -> None:
        """Start none yet.

        Args:
            count: processes at the same time.
            seconds: longest that may be waited for the samples of one file, in all.
            memory_bytes: that a process may have for data, its files included.
        """
        self._free = threading.Semaphore(count)
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._closed = False

    @contextmanager
    def open(self, data: bytes) -> Iterator[AudioSource]:
        """Open a recording held in memory, as `app.decoding.ffmpeg.open_av` does.

        Waits while all processes are at work. No more than a few blocks are decoded ahead.

        Raises:
            AudioError: as `open_av`, from here or from the source's blocks; an
                UndecodableAudioError where the process breaks down, or takes too long.
            RuntimeError: no process can be started.
        """
        with self._free:
            process = self._take()
            try:
                yield _Source(process, data, self._seconds)
            finally:
                self._give_back(process)

    def close(self) -> None:
        """End all processes, those at work as soon as their file is done with."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def process_ids(self) -> list[int]:
        """Of the processes that wait for a file."""
        with self._lock:
            return [process.id for process in self._idle]

    def _take(self) -> "_Process":
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.lives():
                    return process
                process.end()
        return _Process(self._memory_bytes, self._seconds)

    def _give_back(self, process: "_Process") -> None:
        if not process.is_free():
            process.end()
            return
        with self._lock:
            if not self._closed:
                self._idle.append(process)
                return
        process.end()


class _Source:
    """A recording that a process has opened; see `AudioSource`."""

    def __init__(self, process: "_Process", data: bytes, seconds: float) -> None:
        self._process = process
        process.begin(data, seconds)
        self.info: AudioInfo = process.info()

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `AudioSource.blocks`."""
        while (block := self._process.block()) is not None:
            yield block


class _Process:
    """A process of `app.decoding.worker`."""

    def __init__(self, memory_bytes: int, seconds: float) -> None:
        """Start it, and wait until it is ready; raises RuntimeError where it does not get so."""
        command = [sys.executable, "-P", "-m", "app.decoding.worker"]
        options = ["--memory", str(memory_bytes), "--seconds", str(seconds)]
        try:
            self._process = subprocess.Popen(
                command + options,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=_environment(),
            )
        except OSError as error:
            raise RuntimeError(f"no decoder can be started: {error}") from error
        self.id = self._process.pid
        self._stdin, self._stdout = _number(self._process.stdin), _number(self._process.stdout)
        self._at_work = False
        self._patience = self._left = _START_SECONDS
        os.set_blocking(self._stdin, False)
        # Otherwise a file, and a block of samples, take many turns of the two processes.
        with suppress(OSError):
            for pipe in (self._stdin, self._stdout):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._await_ready()
        except DecoderFailedError as error:
            self.end()
            raise RuntimeError(f"a decoder does not start: {error}") from error

    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def begin(self, data: bytes, seconds: float) -> None:
        """Send a file, on which up to `seconds` may be waited."""
        self._patience = self._left = seconds
        self._at_work = True
        self._send(messages.DECODE + messages.REQUEST_SIZE.pack(len(data)))
        self._send(data)

    def info(self) -> AudioInfo:
        """Facts of the file, which come first."""
        kind, body = self._answer()
        if kind == messages.INFO:
            with suppress(ValueError):
                return messages.unpack_info(body)
        raise self._broken("it says what it should not")

    def block(self) -> NDArray[np.float32] | None:
        """The next samples of the file, None after the last."""
        kind, body = self._answer()
        if kind == messages.BLOCK and body and len(body) % _SAMPLE_BYTES == 0:
            return np.frombuffer(body, np.float32)
        if kind == messages.END:
            self._at_work = False
            return None
        raise self._broken("it says what it should not")

    def is_free(self) -> bool:
        """Give up the file, where that is not done with; whether the next can be sent."""
        if not self._at_work or not self.lives():
            return self.lives()
        self._patience = self._left = _STOP_SECONDS
        try:
            self._send(messages.STOP)
            self._await_ready()
        except DecoderFailedError:
            return False
        self._at_work = False
        return True

    def _await_ready(self) -> None:
        while self._receive()[0] != messages.READY:
            pass

    def _answer(self) -> tuple[bytes, bytearray]:
        """What it says of the file, as kind and body; raises what it refuses the file for."""
        kind, body = self._receive()
        if kind != messages.REFUSED:
            return kind, body
        self._at_work = False
        try:
            error = messages.unpack_error(body)
        except ValueError:
            error = self._broken("it says what it should not")
        raise error

    def _receive(self) -> tuple[bytes, bytearray]:
        kind, size = messages.HEAD.unpack(self._read(messages.HEAD.size))
        if size > messages.LARGEST:
            raise self._broken("it says what it should not")
        return kind, self._read(size)

    def _read(self, size: int) -> bytearray:
        body = bytearray(size)
        left = memoryview(body)
        while left:
            self._wait(self._stdout, select.POLLIN)
            read = os.readv(self._stdout, [left])
            if not read:
                raise self._broken("it ended")
            left = left[read:]
        return body

    def _send(self, body: bytes) -> None:
        left = memoryview(body)
        while left:
            self._wait(self._stdin, select.POLLOUT)
            try:
                left = left[os.write(self._stdin, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._broken("it ended") from None

    def _wait(self, number: int, event: int) -> None:
        """Wait until a pipe can be used, for as long as patience lasts."""
        poll = select.poll()
        poll.register(number, event)
        began = time.monotonic()
        ready = poll.poll(max(0.0, self._left) * 1000)
        self._left -= time.monotonic() - began
        if not ready:
            self._process.kill()
            raise DecoderFailedError(
                f"decoding the file takes longer than the {self._patience:g} s that it may"
            )

    def _broken(self, how: str) -> DecoderFailedError:
        """What is told of a file over which the process broke down; it is ended."""
        self._process.kill()
        status = self._process.wait()
        log.warning("a decoder broke down over a file: %s (status %d)", how, status)
        if status == -signal.SIGXCPU:
            return DecoderFailedError(
                f"decoding the file takes longer than the {self._patience:g} s that it may"
            )
        return DecoderFailedError("the decoder broke down over the file; it may be damaged")


def _environment() -> dict[str, str]:
    """What Python needs to find the same packages; nothing of what the service knows."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return kept | {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1"}


def _number(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    return pipe.fileno()
