"""Clips of many requests through one network, together where they wait together."""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from app.inference.engine import Engine
from app.inference.instrumentation import NULL_INSTRUMENTATION, Instrumentation


class OverloadedError(Exception):
    """More clips wait than the queue takes."""


@dataclass(eq=False)
class _Waiting:
    spectrograms: NDArray[np.float32]
    outputs: "asyncio.Future[NDArray[np.float32]]"
    came: float = field(default_factory=perf_counter)
    began: float | None = None
    """when the network was given it"""


class Batcher:
    """Gives an engine whatever waits, as soon as it is free.

    Nothing is delayed to fill a batch: a clip that comes alone is answered alone, and while
    the engine is busy the next batch fills by itself. First come, first served; a request
    with many clips offers them block by block and queues again after each, so that it cannot
    hold up the others. What was cancelled while it waited is dropped. For one event loop.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_batch: int,
        max_waiting: int,
        streams: int,
        instrumentation: Instrumentation = NULL_INSTRUMENTATION,
    ) -> None:
        """Start nothing yet.

        Args:
            engine: the network.
            max_batch: clips that it is given at once.
            max_waiting: clips that may wait.
            streams: batches that it works on at the same time.
            instrumentation: is told of the queue, the batches, and what each block waited for.
        """
        self._engine = engine
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._free = streams
        self._instrumentation = instrumentation
        self._threads = ThreadPoolExecutor(streams, thread_name_prefix="engine")
        self._queue: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Clips in the queue."""
        return sum(len(item.spectrograms) for item in self._queue)

    async def infer(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs `[clips, Card.outputs]` of spectrograms `[clips, 1, mels, frames]`.

        At most `max_batch` clips. Cancelled, it gives up its place.

        Raises:
            OverloadedError: the queue is full.
            Exception: what the engine raised on these very clips; those that shared a batch
                with them are answered.
        """
        if self.waiting + len(spectrograms) > self._max_waiting:
            raise OverloadedError(f"{self.waiting} clips wait already")
        item = _Waiting(spectrograms, asyncio.get_running_loop().create_future())
        self._queue.append(item)
        self._instrumentation.waiting(len(spectrograms))
        self._start_batches()
        try:
            return await item.outputs
        finally:
            self._tell_stages(item)

    def close(self) -> None:
        """Give the threads back once the running batches are done; nothing may wait any more."""
        self._threads.shutdown(wait=False)

    def _start_batches(self) -> None:
        while self._free and (batch := self._next_batch()):
            self._free -= 1
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)  # the event loop alone would let it be collected
            task.add_done_callback(self._running.discard)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        clips = 0
        while self._queue and clips + len(self._queue[0].spectrograms) <= self._max_batch:
            item = self._queue.popleft()
            self._instrumentation.waiting(-len(item.spectrograms))
            if not item.outputs.cancelled():
                batch.append(item)
                clips += len(item.spectrograms)
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        try:
            await self._answer(batch)
        finally:
            self._free += 1
            self._start_batches()

    async def _answer(self, batch: list[_Waiting]) -> None:
        for item in batch:
            item.began = item.began or perf_counter()
        inputs = [item.spectrograms for item in batch]
        together = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
        self._instrumentation.batch(len(together))
        try:
            loop = asyncio.get_running_loop()
            outputs = await loop.run_in_executor(self._threads, self._engine.infer, together)
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0], error)
            else:
                for item in batch:
                    await self._answer([item])
            return
        ends = np.cumsum([len(spectrograms) for spectrograms in inputs])
        for item, own in zip(batch, np.split(outputs, ends[:-1]), strict=True):
            _settle(item, own)

    def _tell_stages(self, item: _Waiting) -> None:
        now = perf_counter()
        began = now if item.began is None else item.began
        self._instrumentation.stage("queue", item.came, began)
        if item.began is not None:
            self._instrumentation.stage("inference", began, now)


def _settle(item: _Waiting, outcome: NDArray[np.float32] | Exception) -> None:
    if item.outputs.done():  # cancelled meanwhile
        return
    if isinstance(outcome, Exception):
        item.outputs.set_exception(outcome)
    else:
        item.outputs.set_result(outcome)
