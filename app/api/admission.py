"""Places: how many requests are worked on at the same time, and what each may take.

That is memory, for its upload, and time, for its client to dawdle.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.api.problems import ProblemError, overloaded

# Of each upload, bytes that are not counted: a clip finds room beside hours of sound.
_UNCOUNTED = 4 * 1024 * 1024
# Of the patience that there is otherwise, what is left when places are short.
_IMPATIENCE = 0.05


@dataclass(frozen=True)
class Patience:
    """How long a service waits for the bytes of one client."""

    seconds: float
    """in all, beside what the bytes that have come may have taken"""
    bytes_per_second: float
    """the slowest that bytes may come"""

    def left(self, received: int, waited: float) -> float:
        """Seconds that are left, negative when it is over."""
        return self.seconds + received / self.bytes_per_second - waited


@dataclass
class Space:
    """Memory for uploads. Of each, the first 4 MiB are not counted."""

    most: int
    """bytes that there are"""
    taken: int = 0
    """bytes that uploads hold now"""


class Place:
    """The place of one request; while its body is read, it may be lost to another request."""

    def __init__(self, patience: Patience, space: Space) -> None:
        self._patience = patience
        self._space = space
        self._held = 0
        self._received = 0
        self._waited = 0.0
        self._since: float | None = None
        self._timeout: asyncio.Timeout | None = None
        self._given_up = False

    async def read(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield what `body` yields, for as long as there is patience.

        Only the time that is spent waiting for the client counts.

        Raises ProblemError where the client is too slow: 408, or 503 where it would have been
        waited for if another request had not needed the place.
        """
        while True:
            left = self._patience.left(self._received, self._waited)
            self._since = began = time.monotonic()
            try:
                async with asyncio.timeout(left) as self._timeout:
                    chunk = await anext(body, None)
            except TimeoutError:
                raise self._too_slow() from None
            finally:
                self._since = self._timeout = None
                self._waited += time.monotonic() - began
            if self._given_up:
                raise self._too_slow()
            if chunk is None:
                return
            self._received += len(chunk)
            yield chunk

    def hold(self, count: int) -> None:
        """Count so many bytes more of the upload as held, or fewer where `count` is negative.

        Raises ProblemError (503) where the uploads of all requests hold too many together.
        """
        held = self._held + count
        more = max(0, held - _UNCOUNTED) - max(0, self._held - _UNCOUNTED)
        if count > 0 and self._space.taken + more > self._space.most:
            raise overloaded("the uploads that are being worked on leave no memory for this one")
        self._held = held
        self._space.taken += more

    def leave(self) -> None:
        """Hold nothing any more."""
        self.hold(-self._held)

    @property
    def dawdled(self) -> float:
        """Seconds beyond the little patience that there is when places are short."""
        if self._since is None:
            return 0.0
        patience = Patience(self._patience.seconds * _IMPATIENCE, self._patience.bytes_per_second)
        waited = self._waited + time.monotonic() - self._since
        return max(0.0, -patience.left(self._received, waited))

    def give_up(self) -> None:
        """Refuse the request that has the place and is waiting for its client."""
        self._given_up = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def _too_slow(self) -> ProblemError:
        if self._given_up:
            return overloaded("the body came slowly, and another request needed the place")
        return too_slow(
            f"{self._received} bytes of the body came in {self._waited:.1f} s; send at least "
            f"{self._patience.bytes_per_second:g} bytes a second, and pause no longer than "
            f"{self._patience.seconds:g} s in all"
        )


class Places:
    """The places of all requests. For one event loop."""

    def __init__(self, count: int, patience: Patience, space: Space) -> None:
        """All `count` are free, and share `space`."""
        self._count = count
        self._patience = patience
        self._space = space
        self._taken: set[Place] = set()

    @contextmanager
    def take(self) -> Iterator[Place]:
        """Hold a place while a request is worked on.

        When all are taken, the request whose client dawdles most has to go: connections that
        send next to nothing cannot keep everyone else out.

        Raises ProblemError (503) at once when none is free: those that were accepted keep their
        pace, and nobody waits for nothing.
        """
        if len(self._taken) >= self._count:
            self._make_room()
        place = Place(self._patience, self._space)
        self._taken.add(place)
        try:
            yield place
        finally:
            self._taken.discard(place)
            place.leave()

    def _make_room(self) -> None:
        slowest = max(self._taken, key=lambda place: place.dawdled)
        if not slowest.dawdled:
            raise overloaded(f"{len(self._taken)} requests are being answered already")
        self._taken.remove(slowest)
        slowest.give_up()


def too_slow(detail: str) -> ProblemError:
    """The problem of a request that took too long to come."""
    return ProblemError("too-slow", detail, headers={"Connection": "close"})
