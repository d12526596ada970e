"""Admission: how many requests are worked on at the same time, and what each may take.

That is memory, for its upload, and time, for its client to send it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from app.api.problems import ProblemError, overloaded, too_slow

# Of each upload, bytes that are not counted: a clip finds room beside hours of sound.
_UNCOUNTED = 4 * 1024 * 1024
# Of the timeout that there is otherwise, what is left when slots are short.
_SHORTAGE_FACTOR = 0.05


@dataclass(frozen=True)
class UploadTimeout:
    """How long a service waits for the bytes of one client."""

    seconds: float
    """in all, beside the time that the bytes received so far may have taken"""
    bytes_per_second: float
    """the slowest rate that is accepted"""

    def remaining(self, received: int, waited: float) -> float:
        """Return the seconds that are left, negative when it has expired."""
        return self.seconds + received / self.bytes_per_second - waited


@dataclass
class MemoryBudget:
    """Memory for uploads. Of each, the first 4 MiB are not counted."""

    limit: int
    """bytes that there are"""
    used: int = 0
    """bytes that uploads hold now"""


class AdmissionSlot:
    """The slot of one request; while its body is read, another request may preempt it."""

    def __init__(self, timeout: UploadTimeout, budget: MemoryBudget) -> None:
        self._timeout = timeout
        self._budget = budget
        self._reserved = 0
        self._received = 0
        self._waited = 0.0
        self._waiting_since: float | None = None
        self._running_timeout: asyncio.Timeout | None = None
        self._is_preempted = False

    @asynccontextmanager
    async def waiting_for_client(self) -> AsyncIterator[None]:
        """Limit the time that the body of a `with` statement waits for the client.

        Raises ProblemError where the client is too slow: 408, or 503 where another request
        preempted the slot.
        """
        remaining = self._timeout.remaining(self._received, self._waited)
        self._waiting_since = began = time.monotonic()
        try:
            async with asyncio.timeout(remaining) as self._running_timeout:
                yield
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            self._waiting_since = self._running_timeout = None
            self._waited += time.monotonic() - began
        if self._is_preempted:
            raise self._too_slow()

    def count_received(self, count: int) -> None:
        """Extend the timeout by so many bytes that have come."""
        self._received += count

    def reserve(self, count: int) -> None:
        """Reserve so many bytes more of memory, or return some where `count` is negative.

        Raises ProblemError (503) where the uploads of all requests take too much together.
        """
        reserved = self._reserved + count
        more = max(0, reserved - _UNCOUNTED) - max(0, self._reserved - _UNCOUNTED)
        if count > 0 and self._budget.used + more > self._budget.limit:
            raise overloaded("the uploads that are being worked on leave no memory for this one")
        self._reserved = reserved
        self._budget.used += more

    def release(self) -> None:
        """Return all memory."""
        self.reserve(-self._reserved)

    @property
    def stalled_seconds(self) -> float:
        """Seconds beyond the short timeout that there is when slots are short."""
        if self._waiting_since is None:
            return 0.0
        timeout = UploadTimeout(
            self._timeout.seconds * _SHORTAGE_FACTOR, self._timeout.bytes_per_second
        )
        waited = self._waited + time.monotonic() - self._waiting_since
        return max(0.0, -timeout.remaining(self._received, waited))

    def preempt(self) -> None:
        """Refuse the request that has the slot and is waiting for its client."""
        self._is_preempted = True
        if self._running_timeout is not None:
            self._running_timeout.reschedule(asyncio.get_running_loop().time())

    def _too_slow(self) -> ProblemError:
        if self._is_preempted:
            return overloaded("the body came slowly, and another request needed the slot")
        return too_slow(
            f"{self._received} bytes of the body came in {self._waited:.1f} s; send at least "
            f"{self._timeout.bytes_per_second:g} bytes a second, and pause no longer than "
            f"{self._timeout.seconds:g} s in all"
        )


class AdmissionController:
    """The slots of all requests. For one event loop."""

    def __init__(self, size: int, timeout: UploadTimeout, budget: MemoryBudget) -> None:
        """Start with `size` free slots, which share `budget`."""
        self._size = size
        self._timeout = timeout
        self._budget = budget
        self._acquired: set[AdmissionSlot] = set()

    @contextmanager
    def acquire(self) -> Iterator[AdmissionSlot]:
        """Hold a slot while a request is worked on.

        When none is free, the request whose client stalls most is preempted: connections that
        send next to nothing cannot keep everyone else out.

        Raises ProblemError (503) at once when no request stalls either: those that were admitted
        keep their pace, and nobody waits in vain.
        """
        if len(self._acquired) >= self._size:
            self._preempt_one()
        slot = AdmissionSlot(self._timeout, self._budget)
        self._acquired.add(slot)
        try:
            yield slot
        finally:
            self._acquired.discard(slot)
            slot.release()

    def _preempt_one(self) -> None:
        slowest = max(self._acquired, key=lambda slot: slot.stalled_seconds)
        if not slowest.stalled_seconds:
            raise overloaded(f"{len(self._acquired)} requests are being answered already")
        self._acquired.remove(slowest)
        slowest.preempt()
