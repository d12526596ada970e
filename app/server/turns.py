"""The turns of the event loop, which many requests that come at once must not make long."""

import asyncio
from collections import deque
from collections.abc import Callable

# A request takes most of its time on the event loop when it begins.
_PER_TURN = 4


class StartQueue:
    """Requests that are begun in the order in which they came, a few in each turn of the loop.

    Whoever is not in it, as probes are not, waits for these few only.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def add(self, start: Callable[[], None]) -> None:
        """Call `start` when it is its turn, at the soonest after the caller has returned."""
        self._waiting.append(start)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._start_some)

    def _start_some(self) -> None:
        starts = [self._waiting.popleft() for _ in range(min(_PER_TURN, len(self._waiting)))]
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._start_some)
        for start in starts:
            start()
