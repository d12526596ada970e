"""Batch the clips of concurrent requests for one network."""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from app.inference.engine import Engine
from app.inference.instrumentation import Instrumentation, NullInstrumentation


class OverloadedError(Exception):
    """More clips wait than the queue takes."""

    problem_type: ClassVar[str] = "overloaded"


@dataclass(eq=False)
class _QueuedClips:
    inputs: NDArray[np.float32]
    outputs: "asyncio.Future[NDArray[np.float32]]"
    queued_at: float = field(default_factory=perf_counter)
    began: float | None = None
    """when the network got them"""


class Batcher:
    """Gives an engine all clips that wait, as soon as it is free.

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
        max_queued: int,
        streams: int,
        instrumentation: Instrumentation | None = None,
    ) -> None:
        """Start no batch yet.

        Args:
            engine: the network.
            max_batch: clips in one batch.
            max_queued: clips that may wait.
            streams: batches at the same time.
            instrumentation: records the queue, the batches, and the stages of each block.
        """
        self._engine = engine
        self._max_batch = max_batch
        self._max_queued = max_queued
        self._free_streams = streams
        self._instrumentation = instrumentation or NullInstrumentation()
        self._threads = ThreadPoolExecutor(streams, thread_name_prefix="engine")
        self._queue: deque[_QueuedClips] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def queued(self) -> int:
        """Clips in the queue."""
        return sum(len(item.inputs) for item in self._queue)

    async def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the outputs `[clips, Card.output_size]` of `[clips, 1, n_mels, frames]`.

        At most `max_batch` clips. A cancelled call leaves the queue.

        Raises:
            OverloadedError: the queue is full.
            Exception: what the engine raised on these very clips; those that shared a batch
                with them are answered.
        """
        if self.queued + len(inputs) > self._max_queued:
            raise OverloadedError(f"{self.queued} clips wait already")
        item = _QueuedClips(inputs, asyncio.get_running_loop().create_future())
        self._queue.append(item)
        self._instrumentation.change_queue(len(inputs))
        self._start_batches()
        try:
            return await item.outputs
        finally:
            self._record_stages(item)

    def close(self) -> None:
        """End the threads once the running batches are done; nothing may wait any more."""
        self._threads.shutdown(wait=False)

    def _start_batches(self) -> None:
        while self._free_streams and (batch := self._next_batch()):
            self._free_streams -= 1
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)  # the event loop alone would let it be collected
            task.add_done_callback(self._running.discard)

    def _next_batch(self) -> list[_QueuedClips]:
        batch: list[_QueuedClips] = []
        clips = 0
        while self._queue and clips + len(self._queue[0].inputs) <= self._max_batch:
            item = self._queue.popleft()
            self._instrumentation.change_queue(-len(item.inputs))
            if not item.outputs.cancelled():
                batch.append(item)
                clips += len(item.inputs)
        return batch

    async def _run(self, batch: list[_QueuedClips]) -> None:
        try:
            await self._infer_batch(batch)
        finally:
            self._free_streams += 1
            self._start_batches()

    async def _infer_batch(self, batch: list[_QueuedClips]) -> None:
        for item in batch:
            item.began = item.began or perf_counter()
        inputs = [item.inputs for item in batch]
        together = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
        self._instrumentation.record_batch(len(together))
        try:
            loop = asyncio.get_running_loop()
            outputs = await loop.run_in_executor(self._threads, self._engine.infer, together)
        except Exception as error:
            if len(batch) == 1:
                _resolve(batch[0], error)
            else:
                for item in batch:
                    await self._infer_batch([item])
            return
        ends = np.cumsum([len(inputs) for inputs in inputs])
        for item, own in zip(batch, np.split(outputs, ends[:-1]), strict=True):
            _resolve(item, own)

    def _record_stages(self, item: _QueuedClips) -> None:
        now = perf_counter()
        began = now if item.began is None else item.began
        self._instrumentation.record_stage("queue", item.queued_at, began)
        if item.began is not None:
            self._instrumentation.record_stage("inference", began, now)


def _resolve(item: _QueuedClips, result: NDArray[np.float32] | Exception) -> None:
    if item.outputs.done():  # cancelled meanwhile
        return
    if isinstance(result, Exception):
        item.outputs.set_exception(result)
    else:
        item.outputs.set_result(result)
