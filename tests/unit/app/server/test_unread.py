"""The wait for clients that do not read, with a transport whose buffer is told."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from app.api.admission import TransferTimeout
from app.server.limits import ConnectionLimits
from app.server.turns import StartQueue
from app.server.unread import UnreadTimer


class Buffer(asyncio.Transport):
    """A transport that has so many bytes left each time that it is asked."""

    def __init__(self, sizes: Iterator[int]) -> None:
        super().__init__()
        self._sizes = sizes
        self.asked = 0
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        self.asked += 1
        return next(self._sizes)

    def abort(self) -> None:
        self.aborted.set()


class Idle:
    """A connection that notes that it was evicted."""

    evicted = False

    def evict(self) -> bool:
        self.evicted = True
        return True


def limits(seconds: float, rate: float, connections: int = 512) -> ConnectionLimits:
    return ConnectionLimits(connections, TransferTimeout(seconds, rate), lambda _type: None)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_client_that_reads_nothing_is_waited_for_once() -> None:
    async def main() -> None:
        transport, found = Buffer(repeat(100)), limits(0.01, 1000)
        UnreadTimer(Idle(), transport, found).start()
        await transport.aborted.wait()
        assert transport.asked == 2

    run(main)


@pytest.mark.parametrize(("rate", "waits"), [(1, 5), (1e9, 1)], ids=["enough", "too little"])
def test_what_is_read_makes_up_for_time(rate: float, waits: int) -> None:
    """100 bytes at a time, four times, and then nothing."""

    async def main() -> None:
        transport, found = Buffer(chain((400, 300, 200, 100), repeat(0))), limits(0.01, rate)
        UnreadTimer(Idle(), transport, found).start()
        await transport.aborted.wait()
        assert transport.asked == 1 + waits

    run(main)


def test_what_was_read_in_time_is_not_aborted() -> None:
    async def main() -> None:
        transport, found, connection = Buffer(repeat(0)), limits(0.01, 1), Idle()
        timer = UnreadTimer(connection, transport, found)
        timer.start()
        assert list(found.unread) == [connection]
        timer.stop()
        assert not found.unread
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(transport.aborted.wait(), 0.05)

    run(main)


def test_of_too_many_the_one_that_was_unread_for_longest_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    found = limits(20, 1, connections=16)
    first, second, third, fourth = Idle(), Idle(), Idle(), Idle()
    assert found.wait_for_reader(first) == float("inf")
    assert found.wait_for_reader(second) == float("inf")
    now = 100.9
    assert found.wait_for_reader(third) == 1.0
    assert not first.evicted  # it had less than that second
    now = 101.1
    assert found.wait_for_reader(fourth) == 1.0
    assert [each.evicted for each in (first, second, third, fourth)] == [True, False, False, False]
    assert list(found.unread) == [second, third, fourth]


def test_few_requests_begin_in_a_turn_of_the_loop_and_in_their_order() -> None:
    async def main() -> None:
        begun: list[int] = []
        queue = StartQueue()
        for number in range(10):
            queue.add(lambda number=number: begun.append(number))  # type: ignore[misc]
        assert begun == []
        counts = []
        while len(begun) < 10:
            await asyncio.sleep(0)
            counts.append(len(begun))
        assert counts == [4, 8, 10]
        assert begun == list(range(10))
        queue.add(lambda: begun.append(10))
        await asyncio.sleep(0)
        assert begun[-1] == 10

    run(main)
