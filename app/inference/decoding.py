"""Waiting for a decoder's process where it costs nothing: on the event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from app.decoding.errors import NotYetError
from app.decoding.pool import DecoderPool
from app.decoding.source import AudioOpener, AudioSource

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Attempt(Protocol[T_co]):
    """Something that begins with opening a recording."""

    def __call__(self, *, open_with_ffmpeg: AudioOpener) -> Awaitable[T_co]:
        """What comes of it, given an opener for `app.decoding.recording.open_audio`."""
        ...


class Decoding:
    """Gives each recording that FFmpeg has to decode its turn, in the order in which they ask.

    Were they to wait for `DecoderPool` on worker threads, recordings that are being decoded would
    find no thread to go on with.
    """

    def __init__(self, decoders: DecoderPool, count: int) -> None:
        """Have `count` turns at the same time."""
        self._decoders = decoders
        self._lock = threading.Lock()
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def with_ffmpeg(self, attempt: Attempt[T]) -> T:
        """What `attempt` returns.

        It is called a second time where the first finds that it needs FFmpeg and has to wait.
        """
        turn = _Turn(self, self._decoders)
        try:
            return await attempt(open_with_ffmpeg=turn.open)
        except NotYetError:
            await turn.wait()
            return await attempt(open_with_ffmpeg=turn.open)
        finally:
            turn.end()

    def take(self) -> bool:
        """Begin a turn, on any thread, if one is free and nobody waits; whether it has begun."""
        with self._lock:
            if not self._free or self._waiting:
                return False
            self._free -= 1
            return True

    async def wait(self) -> None:
        """Begin a turn when all who came before have had theirs."""
        turn = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append(turn)
        self._call()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """End a turn; called on the event loop."""
        with self._lock:
            self._free += 1
        self._call()

    def _call(self) -> None:
        """Tell those who wait of the turns that are free."""
        with self._lock:
            while self._free and self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    self._free -= 1


class _Turn:
    """Of one recording; it lasts until that is decoded, or given up."""

    def __init__(self, decoding: Decoding, decoders: DecoderPool) -> None:
        self._decoding = decoding
        self._decoders = decoders
        self._loop = asyncio.get_running_loop()
        self._has_begun = False

    async def wait(self) -> None:
        await self._decoding.wait()
        self._has_begun = True

    def end(self) -> None:
        if self._has_begun:
            self._has_begun = False
            self._decoding.give_back()

    @contextmanager
    def open(self, data: bytes) -> Iterator[AudioSource]:
        """See `DecoderPool.open`; on a worker thread. Raises NotYetError when all are busy."""
        self._has_begun = self._has_begun or self._decoding.take()
        if not self._has_begun:
            raise NotYetError("the recording needs a decoder, and none is free")
        try:
            with self._decoders.open(data) as source:
                yield source
        finally:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                self._loop.call_soon_threadsafe(self.end)
