"""Admission: how many requests are worked on at the same time, and what each may take.

That is memory, for its upload, and time, for its client to send it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from app.api.problems import ProblemError, overloaded, too_slow

# Of each upload, bytes that are not counted: a clip finds room beside hours of sound.
_UNCOUNTED = 4 * 1024 * 1024
_STATM = Path("/proc/self/statm")
# What the process has is asked for no more often: each look at a file gives the interpreter's lock
# away, and gets it back when the other threads please.
_LOOK_SECONDS = 0.05


def resident_bytes() -> int:
    """Return the memory that this process has; 0 where that cannot be known (not on Linux)."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class TransferTimeout:
    """How long a service waits for one client to send, or to read."""

    seconds: float
    """for which a client may pause"""
    per_second: float
    """the slowest rate that is accepted: so much makes up for a second of waiting"""
    unit: str = "bytes"
    """of what is sent or read"""


class TransferTimer:
    """The seconds that are left of a `TransferTimeout`: never more than at first, whatever came."""

    def __init__(self, timeout: TransferTimeout) -> None:
        """Start with all of them."""
        self._timeout = timeout
        self.seconds = timeout.seconds

    def spend(self, seconds: float) -> None:
        """Lose so many seconds."""
        self.seconds -= seconds

    def earn(self, amount: float) -> None:
        """Win back what so much is worth."""
        won = self.seconds + amount / self._timeout.per_second
        self.seconds = min(self._timeout.seconds, won)


@dataclass
class MemoryBudget:
    """Memory for uploads. Of each, the first 4 MiB are not counted."""

    limit: int
    """bytes that there are"""
    process_limit: float = inf
    """resident bytes of the process, whatever holds them, beyond which nobody is admitted"""
    used: int = 0
    """bytes that uploads hold now"""
    holders: "set[AdmissionSlot]" = field(default_factory=set)
    """the uploads that hold some"""
    _resident: int = 0
    _next_look: float = -inf

    def require_process_memory(self) -> None:
        """Raise ProblemError (503) while the process has more memory than it may."""
        now = time.monotonic()
        if now >= self._next_look:
            self._resident, self._next_look = resident_bytes(), now + _LOOK_SECONDS
        if self._resident > self.process_limit:
            raise overloaded(
                f"the service holds {self._resident / 1e6:.0f} MB of memory, more than the "
                f"{self.process_limit / 1e6:.0f} MB of EARSHOT_MEMORY_BYTES"
            )


class AdmissionSlot:
    """The slot of one request; while its body is read, another request may preempt it."""

    def __init__(
        self, timeout: TransferTimeout, shortage: TransferTimeout, budget: MemoryBudget
    ) -> None:
        """Hold no memory yet.

        Args:
            timeout: how long the client is waited for.
            shortage: how long until the slot may be preempted, where another request needs it.
            budget: memory that the slots share.
        """
        self._timeout = timeout
        self._timer = TransferTimer(timeout)
        self._short_timer = TransferTimer(shortage)
        self._budget = budget
        self._reserved = 0
        self._received = 0.0
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
        self._waiting_since = began = time.monotonic()
        is_late = False
        try:
            async with asyncio.timeout(self._timer.seconds) as self._running_timeout:
                yield
        except TimeoutError:
            is_late = True
        finally:
            waited = time.monotonic() - began
            self._waiting_since = self._running_timeout = None
            self._waited += waited
            self._timer.spend(waited)
            self._short_timer.spend(waited)
        if is_late or self._is_preempted:
            raise self._too_slow()

    def count_received(self, amount: float) -> None:
        """Extend the timeout by what has come, in the timeout's unit."""
        self._received += amount
        self._timer.earn(amount)
        self._short_timer.earn(amount)

    def reserve(self, count: int) -> None:
        """Reserve so many bytes more of memory, or return some where `count` is negative.

        Uploads that stall are preempted where that makes room.

        Raises ProblemError (503) where the uploads of all requests take too much together.
        """
        if self._is_preempted and count > 0:
            raise self._too_slow()
        reserved = self._reserved + count
        more = max(0, reserved - _UNCOUNTED) - max(0, self._reserved - _UNCOUNTED)
        while count > 0 and self._budget.used + more > self._budget.limit:
            slowest = find_stalled(self._budget.holders)
            if slowest is None:
                raise overloaded(
                    "the uploads that are being worked on leave no memory for this one"
                )
            slowest.preempt()
        self._reserved = reserved
        self._budget.used += more
        if reserved > _UNCOUNTED:
            self._budget.holders.add(self)
        else:
            self._budget.holders.discard(self)

    def release(self) -> None:
        """Return all memory."""
        self.reserve(-self._reserved)

    @property
    def stalled_seconds(self) -> float:
        """Seconds beyond the short timeout that there is when slots or memory are short."""
        if self._waiting_since is None:
            return 0.0
        waiting = time.monotonic() - self._waiting_since
        return max(0.0, waiting - self._short_timer.seconds)

    def preempt(self) -> None:
        """Refuse the request that has the slot and is waiting for its client."""
        self._is_preempted = True
        self.release()
        if self._running_timeout is not None:
            self._running_timeout.reschedule(asyncio.get_running_loop().time())

    def _too_slow(self) -> ProblemError:
        if self._is_preempted:
            return overloaded("the body came slowly, and another request needed its place")
        unit = self._timeout.unit
        return too_slow(
            f"{self._received:.10g} {unit} came in {self._waited:.1f} s; send at least "
            f"{self._timeout.per_second:g} {unit} a second, and never pause for more than "
            f"{self._timeout.seconds:g} s"
        )


def find_stalled(slots: Iterable[AdmissionSlot]) -> AdmissionSlot | None:
    """Return the slot whose client stalls most, None where no client does."""
    slowest = max(slots, key=lambda slot: slot.stalled_seconds, default=None)
    return slowest if slowest is not None and slowest.stalled_seconds else None


class AdmissionController:
    """The slots of all requests. For one event loop."""

    def __init__(
        self, size: int, timeout: TransferTimeout, shortage: TransferTimeout, budget: MemoryBudget
    ) -> None:
        """Start with `size` free slots; see `AdmissionSlot` for the rest."""
        self._size = size
        self._timeout = timeout
        self._shortage = shortage
        self._budget = budget
        self._acquired: set[AdmissionSlot] = set()

    @contextmanager
    def acquire(self) -> Iterator[AdmissionSlot]:
        """Hold a slot while a request is worked on.

        When none is free, the request whose client stalls most is preempted: connections that
        send next to nothing cannot keep everyone else out.

        Raises ProblemError (503) at once when no request stalls either: those that were admitted
        keep their pace, and nobody waits in vain. Also while the process has too much memory.
        """
        self._budget.require_process_memory()
        if len(self._acquired) >= self._size:
            self._preempt_one()
        slot = AdmissionSlot(self._timeout, self._shortage, self._budget)
        self._acquired.add(slot)
        try:
            yield slot
        finally:
            self._acquired.discard(slot)
            slot.release()

    def _preempt_one(self) -> None:
        slowest = find_stalled(self._acquired)
        if slowest is None:
            raise overloaded(f"{len(self._acquired)} requests are being answered already")
        self._acquired.remove(slowest)
        slowest.preempt()
