"""Decode with FFmpeg in other processes, which may break down over hostile files."""

import asyncio
import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from app.decoding import protocol
from app.decoding.errors import DecoderFailedError, ReadingAbandonedError
from app.decoding.source import AudioMetadata, AudioSource

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_IDLE_SECONDS = 5.0
# How often whoever waits for a process looks whether somebody waits for it.
_LOOK_SECONDS = 0.05
_PIPE_BYTES = 1 << 20
_KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME")


class DecoderPool:
    """A pool of processes of `app.decoding.worker`, one file in each at a time.

    They start when they are first needed. One that breaks down, or does not stop when it should,
    is ended and replaced; one that has had no file for a while is ended.
    """

    def __init__(
        self,
        size: int,
        *,
        timeout_seconds: float,
        memory_bytes: int,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        """Start no process yet.

        Args:
            size: processes at the same time.
            timeout_seconds: longest wait for the samples of one file, in all.
            memory_bytes: that a process may have for data, its files included.
            idle_seconds: without a file, after which a process is ended.
        """
        self._limiter = asyncio.Semaphore(size)
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._idle_seconds = idle_seconds
        self._idle: list[_Process] = []
        """those without a file, in the order in which they came to be so"""
        self._timer: threading.Timer | None = None
        self._closed = False

    @asynccontextmanager
    async def reserve(self) -> AsyncIterator["DecoderSlot"]:
        """Wait for a slot, first come, first served; on the event loop, where waiting is cheap.

        Were recordings to wait on worker threads, those that are being decoded would find no
        thread to go on with.
        """
        await self._limiter.acquire()
        slot = DecoderSlot(self, self._limiter)
        try:
            yield slot
        finally:
            slot.abandon()

    @contextmanager
    def open(
        self,
        data: bytes,
        *,
        is_abandoned: threading.Event | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> Iterator[AudioSource]:
        """Open a recording held in memory, as `app.decoding.ffmpeg.open_ffmpeg` does.

        Called by whoever has a slot, on any thread. No more than a few blocks are decoded ahead.

        Args:
            data: the file.
            is_abandoned: is set when nobody waits for it any more.
            on_end: is called when the process is free for another file.

        Raises:
            AudioError: as `open_ffmpeg`, from here or from the source's blocks; a
                DecoderFailedError where the process breaks down, or takes too long.
            RuntimeError: no process can be started.
        """
        process = None
        try:
            process = self._take_process()
            yield _ProcessSource(
                process, data, self._timeout_seconds, is_abandoned or threading.Event()
            )
        finally:
            self._end(process, on_end)

    def close(self) -> None:
        """End all processes, those at work as soon as their file is done with."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            if self._timer is not None:
                self._timer.cancel()
        for process in idle:
            process.kill()

    def idle_process_ids(self) -> list[int]:
        """Return the ids of the processes that wait for a file."""
        with self._lock:
            return [process.id for process in self._idle]

    def _take_process(self) -> "_Process":
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.is_alive():
                    return process
                process.kill()
        return _Process(self._memory_bytes, self._timeout_seconds)

    def _end(self, process: "_Process | None", on_end: Callable[[], None]) -> None:
        if process is not None and process.is_busy and _is_on_event_loop():
            # A file that nobody reads on is closed wherever its last user drops it.
            threading.Thread(target=self._end, args=(process, on_end), daemon=True).start()
            return
        if process is not None:
            self._return_process(process)
        on_end()

    def _return_process(self, process: "_Process") -> None:
        if not process.abandon_file():
            process.kill()
            return
        with self._lock:
            if not self._closed:
                process.idle_since = time.monotonic()
                self._idle.append(process)
                self._watch_idle()
                return
        process.kill()

    def _watch_idle(self) -> None:
        """Have the idle be looked at when the first of them has been so for long enough."""
        if self._timer is None and self._idle:
            left = self._idle[0].idle_since + self._idle_seconds - time.monotonic()
            self._timer = threading.Timer(max(0.0, left), self._end_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_idle(self) -> None:
        """End those that have been idle for long enough."""
        ended = []
        with self._lock:
            self._timer = None
            before = time.monotonic() - self._idle_seconds
            while self._idle and self._idle[0].idle_since <= before:
                ended.append(self._idle.pop(0))
            if not self._closed:
                self._watch_idle()
        for process in ended:
            process.kill()


class DecoderSlot:
    """The right to one process of a pool, until its file is decoded or abandoned."""

    def __init__(self, pool: DecoderPool, limiter: asyncio.Semaphore) -> None:
        self._pool = pool
        self._limiter = limiter
        self._loop = asyncio.get_running_loop()
        self._is_used = threading.Lock()  # taken once, by whoever is to release the slot
        self._is_abandoned = threading.Event()

    @contextmanager
    def open(self, data: bytes) -> Iterator[AudioSource]:
        """Open a file once; see `DecoderPool.open`. Called on a worker thread."""
        if not self._is_used.acquire(blocking=False):
            raise RuntimeError("the slot was released before the file was opened")
        with self._pool.open(data, is_abandoned=self._is_abandoned, on_end=self._release) as source:
            yield source

    def abandon(self) -> None:
        """Decode no more, as nobody waits for it; on the event loop.

        Whoever is decoding finds out at once, and releases the slot.
        """
        self._is_abandoned.set()
        if self._is_used.acquire(blocking=False):
            self._limiter.release()

    def _release(self) -> None:
        # By the thread: whoever asked may be gone while the process is still at work.
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._limiter.release)


class _ProcessSource:
    """A recording that a process has opened; see `AudioSource`."""

    def __init__(
        self,
        process: "_Process",
        data: bytes,
        timeout_seconds: float,
        is_abandoned: threading.Event,
    ) -> None:
        self._process = process
        process.send_file(data, timeout_seconds, is_abandoned)
        self.metadata: AudioMetadata = process.read_metadata()

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `AudioSource.warnings`."""
        return self._process.warnings

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `AudioSource.blocks`."""
        while (block := self._process.read_block()) is not None:
            yield block


class _Process:
    """A process of `app.decoding.worker`."""

    def __init__(self, memory_bytes: int, cpu_seconds: float) -> None:
        """Start it, and wait until it is ready; raises RuntimeError where it never is."""
        command = [sys.executable, "-P", "-m", "app.decoding.worker"]
        options = ["--memory", str(memory_bytes), "--seconds", str(cpu_seconds)]
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
        self._stdin, self._stdout = (
            _file_descriptor(self._process.stdin),
            _file_descriptor(self._process.stdout),
        )
        self.is_busy = False
        """whether it has a file that is not done with"""
        self.idle_since = 0.0
        """when it was done with its last file, by `time.monotonic`"""
        self._is_abandoned = threading.Event()
        self.warnings: tuple[str, ...] = ()
        """of the file that was read last"""
        self._timeout = self._left = _START_SECONDS
        os.set_blocking(self._stdin, False)
        # Otherwise a file, and a block of samples, take many turns of the two processes.
        with suppress(OSError):
            for pipe in (self._stdin, self._stdout):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._await_ready()
        except DecoderFailedError as error:
            self.kill()
            raise RuntimeError(f"a decoder does not start: {error}") from error

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def send_file(self, data: bytes, timeout_seconds: float, is_abandoned: threading.Event) -> None:
        """Send a file, on which up to `timeout_seconds` are waited in all, or until the event."""
        self._is_abandoned = is_abandoned
        self._timeout = self._left = timeout_seconds
        self.is_busy = True
        self.warnings = ()
        self._send(protocol.DECODE + protocol.REQUEST_SIZE.pack(len(data)))
        self._send(data)

    def read_metadata(self) -> AudioMetadata:
        """Read the metadata of the file, which come first."""
        kind, body = self._read_reply()
        if kind == protocol.METADATA:
            with suppress(ValueError):
                return protocol.unpack_metadata(body)
        raise self._failure("its reply is invalid")

    def read_block(self) -> NDArray[np.float32] | None:
        """Read the next samples of the file, None after the last."""
        kind, body = self._read_reply()
        if kind == protocol.BLOCK:
            with suppress(ValueError):
                return protocol.unpack_block(body)
        if kind == protocol.END:
            self.is_busy = False
            with suppress(ValueError):
                self.warnings = protocol.unpack_warnings(body)
                return None
        raise self._failure("its reply is invalid")

    def abandon_file(self) -> bool:
        """Abandon the file, where that is not done with; return whether the next can be sent."""
        if not self.is_busy or not self.is_alive():
            return self.is_alive()
        self._timeout = self._left = _STOP_SECONDS
        self._is_abandoned = threading.Event()
        try:
            self._send(protocol.STOP)
            self._await_ready()
        except DecoderFailedError:
            return False
        self.is_busy = False
        return True

    def _await_ready(self) -> None:
        while self._receive()[0] != protocol.READY:
            pass

    def _read_reply(self) -> tuple[bytes, bytearray]:
        """Read a reply, as kind and body; raises the error that it may report."""
        kind, body = self._receive()
        if kind != protocol.ERROR:
            return kind, body
        self.is_busy = False
        try:
            error = protocol.unpack_error(body)
        except ValueError:
            error = self._failure("its reply is invalid")
        raise error

    def _receive(self) -> tuple[bytes, bytearray]:
        kind, size = protocol.HEAD.unpack(self._read(protocol.HEAD.size))
        if size > protocol.MAX_BODY_BYTES:
            raise self._failure("its reply is invalid")
        return kind, self._read(size)

    def _read(self, size: int) -> bytearray:
        body = bytearray(size)
        left = memoryview(body)
        while left:
            self._wait(self._stdout, select.POLLIN)
            read = os.readv(self._stdout, [left])
            if not read:
                raise self._failure("it ended")
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
                raise self._failure("it ended") from None

    def _wait(self, number: int, event: int) -> None:
        """Wait until a pipe can be used, until the timeout."""
        poll = select.poll()
        poll.register(number, event)
        ready: list[tuple[int, int]] = []
        while not ready:
            if self._is_abandoned.is_set():
                raise ReadingAbandonedError
            if self._left <= 0:
                self._process.kill()
                raise DecoderFailedError(
                    f"decoding the file takes longer than the {self._timeout:g} s that it may"
                )
            began = time.monotonic()
            ready = poll.poll(1000 * min(self._left, _LOOK_SECONDS))
            self._left -= time.monotonic() - began

    def _failure(self, reason: str) -> DecoderFailedError:
        """End the process, and return the error for the file over which it broke down."""
        self._process.kill()
        status = self._process.wait()
        log.warning("a decoder broke down over a file: %s (status %d)", reason, status)
        if status == -signal.SIGXCPU:
            return DecoderFailedError(
                f"decoding the file takes longer than the {self._timeout:g} s that it may"
            )
        return DecoderFailedError("the decoder broke down over the file; it may be damaged")


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _environment() -> dict[str, str]:
    """Return what Python needs to find the same packages, and nothing that is secret."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1"}


def _file_descriptor(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    return pipe.fileno()
