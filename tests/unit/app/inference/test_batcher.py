"""The batcher, with an engine that tells what it was given and waits to be let go on."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from app.inference.batcher import Batcher, OverloadedError


class Gate:
    """An engine of one label: the mean of each clip. Every batch waits for `open()`."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.entered = threading.Semaphore(0)
        self._permits = threading.Semaphore(0)

    def infer(self, spectrograms: np.ndarray) -> np.ndarray:
        means = spectrograms.mean(axis=(1, 2, 3))[:, None]
        self.batches.append(means[:, 0].tolist())
        self.entered.release()
        assert self._permits.acquire(timeout=30)
        if (means < 0).any():
            raise RuntimeError("poisoned")
        return means

    def open(self, batches: int = 1) -> None:
        self._permits.release(batches)

    async def wait_until_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=30)


def clips(*values: float) -> np.ndarray:
    return np.stack([np.full((1, 2, 3), value, np.float32) for value in values])


def run(scenario: Callable[[Gate, Batcher], Awaitable[None]], **limits: int) -> list[list[float]]:
    """Run `scenario`; returns the batches that the engine saw."""
    gate = Gate()

    async def main() -> None:
        options = {"max_batch": 4, "max_queued": 100, "streams": 1} | limits
        batcher = Batcher(gate, **options)
        try:
            await asyncio.wait_for(scenario(gate, batcher), 30)
        finally:
            gate.open(1000)

    asyncio.run(main())
    return gate.batches


def test_a_clip_that_comes_alone_is_answered_alone() -> None:
    async def scenario(gate: Gate, batcher: Batcher) -> None:
        gate.open()
        assert (await batcher.infer(clips(3.0))).tolist() == [[3.0]]

    assert run(scenario) == [[3.0]]


def test_what_waits_together_goes_together_in_order() -> None:
    async def scenario(gate: Gate, batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.infer(clips(0)))
        await gate.wait_until_entered()
        others = [asyncio.ensure_future(batcher.infer(clips(i, i + 0.5))) for i in (1, 2, 3)]
        await asyncio.sleep(0)
        assert batcher.queued == 6
        gate.open(3)
        answers = await asyncio.gather(first, *others)
        assert [answer[:, 0].tolist() for answer in answers] == [[0], [1, 1.5], [2, 2.5], [3, 3.5]]

    assert run(scenario) == [[0], [1, 1.5, 2, 2.5], [3, 3.5]]


def test_streams_work_at_the_same_time() -> None:
    async def scenario(gate: Gate, batcher: Batcher) -> None:
        both = [asyncio.ensure_future(batcher.infer(clips(i))) for i in (1, 2)]
        await gate.wait_until_entered()
        await gate.wait_until_entered()  # neither was let go on
        gate.open(2)
        await asyncio.gather(*both)

    assert sorted(run(scenario, streams=2)) == [[1], [2]]


def test_the_queue_is_bounded() -> None:
    async def scenario(gate: Gate, batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.infer(clips(0)))
        await gate.wait_until_entered()
        second = asyncio.ensure_future(batcher.infer(clips(1, 2)))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="2 clips wait"):
            await batcher.infer(clips(3))
        gate.open(2)
        await asyncio.gather(first, second)
        gate.open()
        assert (await batcher.infer(clips(3))).tolist() == [[3]]

    assert run(scenario, max_queued=2) == [[0], [1, 2], [3]]


def test_what_was_cancelled_is_not_computed() -> None:
    async def scenario(gate: Gate, batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.infer(clips(0)))
        await gate.wait_until_entered()
        gone = asyncio.ensure_future(batcher.infer(clips(1)))
        stays = asyncio.ensure_future(batcher.infer(clips(2)))
        await asyncio.sleep(0)
        gone.cancel()
        gate.open(2)
        assert (await stays).tolist() == [[2]]
        assert (await first).tolist() == [[0]]
        assert gone.cancelled()

    assert run(scenario) == [[0], [2]]


def test_what_is_cancelled_while_it_is_computed_harms_nobody() -> None:
    async def scenario(gate: Gate, batcher: Batcher) -> None:
        gone = asyncio.ensure_future(batcher.infer(clips(0)))
        await gate.wait_until_entered()
        gone.cancel()
        gate.open(2)
        assert (await batcher.infer(clips(1))).tolist() == [[1]]

    assert run(scenario) == [[0], [1]]


def test_a_poisoned_clip_fails_alone() -> None:
    async def scenario(gate: Gate, batcher: Batcher) -> None:
        first = asyncio.ensure_future(batcher.infer(clips(0)))
        await gate.wait_until_entered()
        others = [asyncio.ensure_future(batcher.infer(clips(i))) for i in (1, -1, 2)]
        await asyncio.sleep(0)
        gate.open(5)
        one, poisoned, two = await asyncio.gather(*others, return_exceptions=True)
        assert (await first, one, two) == ([[0]], [[1]], [[2]])
        assert isinstance(poisoned, RuntimeError)

    assert run(scenario) == [[0], [1, -1, 2], [1], [-1], [2]]
