"""The admission of requests, by a clock that is set by hand."""

import asyncio
import contextlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.api import admission
from app.api.admission import (
    AdmissionController,
    AdmissionSlot,
    MemoryBudget,
    TransferTimeout,
    TransferTimer,
    find_stalled,
)
from app.api.problems import ProblemError

MIB = 1 << 20
# 600 s at a time, and a second for ten bytes; where slots are short, 2 s, and one for a hundred.
LONG, SHORT = TransferTimeout(600, 10), TransferTimeout(2, 100)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)
    return clock


def make_slot(budget: MemoryBudget | None = None) -> AdmissionSlot:
    return AdmissionSlot(LONG, SHORT, budget or MemoryBudget(MIB))


async def wait(slot: AdmissionSlot, clock: Clock, seconds: float) -> None:
    async with slot.waiting_for_client():
        clock.now += seconds


async def give_up(slot: AdmissionSlot, clock: Clock, seconds: float) -> None:
    """Wait until the time is over."""
    async with slot.waiting_for_client():
        clock.now += seconds
        raise TimeoutError


def assert_overloaded(error: ProblemError, detail: str) -> None:
    problem = error.problem
    assert (problem.status, problem.type) == (503, "/problems/overloaded")
    assert problem.detail == f"{detail}; try again in a moment"
    assert error.headers is not None
    assert error.headers["Retry-After"] == "1"


def test_bytes_make_up_for_seconds_but_for_no_more_than_there_are_at_first() -> None:
    timer = TransferTimer(TransferTimeout(20, 100))
    assert timer.seconds == 20
    timer.spend(5)
    assert timer.seconds == 15
    timer.earn(250)
    assert timer.seconds == 17.5
    timer.earn(10_000)
    assert timer.seconds == 20
    timer.spend(21)
    assert timer.seconds == -1
    timer.earn(50)
    assert timer.seconds == -0.5


def test_a_client_that_is_too_slow_is_told_what_came_and_what_must(clock: Clock) -> None:
    slot = make_slot()

    async def main() -> None:
        await wait(slot, clock, 2)
        slot.count_received(1500)
        await wait(slot, clock, 1)
        slot.count_received(1)
        await give_up(slot, clock, 600)

    with pytest.raises(ProblemError) as error:
        asyncio.run(main())
    assert (error.value.problem.status, error.value.problem.type) == (408, "/problems/too-slow")
    assert error.value.problem.detail == (
        "1501 bytes came in 603.0 s; send at least 10 bytes a second, and never pause for more "
        "than 600 s"
    )


def test_seconds_that_a_client_paused_are_gone_until_it_sends(clock: Clock) -> None:
    """The wait is limited by what is left, in real time."""

    async def main() -> None:
        slot = AdmissionSlot(TransferTimeout(30, 10), SHORT, MemoryBudget(MIB))
        await wait(slot, clock, 29.99)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProblemError, match="never pause"):
            async with slot.waiting_for_client():
                await asyncio.sleep(60)
        assert asyncio.get_running_loop().time() - began < 20
        slot.count_received(10)  # a second
        async with slot.waiting_for_client():
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_slot_stalls_for_as_long_as_its_client_pauses_beyond_the_short_time(
    clock: Clock,
) -> None:
    slot = make_slot()
    found = []

    async def main() -> None:
        async with slot.waiting_for_client():
            for step in (2, 1, 4):
                clock.now += step
                found.append(slot.stalled_seconds)
        found.append(slot.stalled_seconds)  # it waits no more
        slot.count_received(550)  # worth 5.5 s: it had lost 7 of 2
        async with slot.waiting_for_client():
            found.append(slot.stalled_seconds)
            clock.now += 1
            found.append(slot.stalled_seconds)

    asyncio.run(main())
    assert found == [0, 1, 5, 0, 0, 0.5]


def test_the_slot_that_stalls_most_is_found() -> None:
    one, two, none = (SimpleNamespace(stalled_seconds=each) for each in (0.5, 3.0, 0.0))
    assert find_stalled([one, two, none]) is two  # type: ignore[list-item]
    assert find_stalled([none]) is None  # type: ignore[list-item]
    assert find_stalled([]) is None


def test_a_slot_that_is_taken_by_no_stalling_client_is_not_given_to_another() -> None:
    controller = AdmissionController(2, LONG, SHORT, MemoryBudget(MIB))
    with controller.acquire(), controller.acquire():
        with pytest.raises(ProblemError) as error, controller.acquire():
            pass
        assert_overloaded(error.value, "2 requests are being answered already")
    with contextlib.suppress(ZeroDivisionError), controller.acquire():
        raise ZeroDivisionError
    with controller.acquire(), controller.acquire():  # both are free again
        pass


def test_the_request_that_stalls_most_gives_its_slot(clock: Clock) -> None:
    controller = AdmissionController(2, LONG, SHORT, budget := MemoryBudget(10 * MIB))
    events: list[str] = []

    async def hold(name: str, seconds: float, begun: asyncio.Event) -> None:
        try:
            with controller.acquire() as slot:
                slot.reserve(6 * MIB)
                async with slot.waiting_for_client():
                    begun.set()
                    await asyncio.sleep(seconds)
        except ProblemError as error:
            assert_overloaded(error, "the body came slowly, and another request needed its place")
            events.append(f"{name} gave way")

    async def main() -> None:
        first = asyncio.Event()
        older = asyncio.create_task(hold("the older", 30, first))
        await first.wait()
        clock.now += 1
        second = asyncio.Event()
        younger = asyncio.create_task(hold("the younger", 30, second))
        await second.wait()
        clock.now += 2.5  # 1.5 and 0.5 s beyond the short time
        assert budget.used == 4 * MIB
        with controller.acquire():
            assert budget.used == 2 * MIB
            await older
            assert events == ["the older gave way"]
            with controller.acquire():
                await younger
            clock.now += 10
            # Both slots are used again, by requests that wait for nobody.
            with controller.acquire(), pytest.raises(ProblemError), controller.acquire():
                pass

    asyncio.run(main())
    assert events == ["the older gave way", "the younger gave way"]
    assert (budget.used, budget.holders) == (0, set())


def test_of_each_upload_four_mebibytes_are_not_counted() -> None:
    budget = MemoryBudget(limit=100)
    slot = make_slot(budget)
    slot.reserve(4 * MIB)
    assert (budget.used, budget.holders) == (0, set())
    slot.reserve(1)
    assert (budget.used, budget.holders) == (1, {slot})
    slot.reserve(99)
    assert budget.used == 100
    with pytest.raises(ProblemError) as error:
        slot.reserve(1)
    assert_overloaded(
        error.value, "the uploads that are being worked on leave no memory for this one"
    )
    assert (budget.used, budget.holders) == (100, {slot})
    slot.reserve(-99)
    assert (budget.used, budget.holders) == (1, {slot})
    slot.reserve(-1)
    assert (budget.used, budget.holders) == (0, set())
    slot.reserve(50)
    slot.release()
    assert (budget.used, budget.holders) == (0, set())
    slot.reserve(4 * MIB + 100)  # all of it was given back


def test_a_slot_that_was_preempted_holds_nothing_more() -> None:
    budget = MemoryBudget(limit=100)
    slot = make_slot(budget)
    slot.reserve(4 * MIB + 60)
    slot.preempt()
    assert budget.used == 0
    with pytest.raises(ProblemError, match="another request needed its place"):
        slot.reserve(1)
    slot.reserve(0)
    slot.release()
    assert budget.used == 0

    async def main() -> None:
        async with slot.waiting_for_client():
            pass

    with pytest.raises(ProblemError) as error:
        asyncio.run(main())
    assert_overloaded(error.value, "the body came slowly, and another request needed its place")


def test_nobody_is_admitted_while_the_process_has_too_much_memory(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is looked at twenty times a second at most."""
    statm = tmp_path / "statm"
    monkeypatch.setattr(admission, "_STATM", statm)
    page = os.sysconf("SC_PAGE_SIZE")
    budget = MemoryBudget(MIB, process_limit=1000 * page)
    statm.write_text("9000 1000 7 1 0 8 0\n")
    budget.require_process_memory()
    statm.write_text("9000 3000 7 1 0 8 0\n")
    clock.now += 0.04
    budget.require_process_memory()
    clock.now += 0.02
    with pytest.raises(ProblemError) as refusal:
        budget.require_process_memory()
    assert_overloaded(
        refusal.value,
        f"the service holds {3000 * page / 1e6:.0f} MB of memory, more than the "
        f"{1000 * page / 1e6:.0f} MB of EARSHOT_MEMORY_BYTES",
    )
    # Where it cannot be known, it is no reason to refuse.
    statm.unlink()
    clock.now += 0.06
    budget.require_process_memory()
