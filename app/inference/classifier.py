"""From the bytes of a file to a calibrated answer, a block of clips at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.audio.features import ClipBlock, clip_blocks
from app.audio.recording import MonoStream
from app.audio.source import AudioInfo
from app.checkpoints.card import Card
from app.inference.batcher import Batcher
from app.inference.engine import BATCH, calibrate

T = TypeVar("T")


class OnThread(Protocol):
    """Runs a function on a worker thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """What `work` returns."""
        ...


@dataclass(frozen=True)
class Answer:
    """What was heard in a recording, and in each of the clips that it was cut into."""

    probabilities: NDArray[np.float32]
    """shape `[labels]`, in the order of the card's labels; they add up to 1"""
    clip_probabilities: NDArray[np.float32]
    """shape `[clips, labels]`"""
    clip_starts: list[float]
    """seconds"""
    clip_seconds: float
    seconds: float
    """duration of the recording"""
    info: AudioInfo


class Classifier:
    """A checkpoint's card and its network."""

    def __init__(self, card: Card, batcher: Batcher) -> None:
        self.card = card
        self._batcher = batcher

    async def classify(
        self,
        data: bytes,
        *,
        max_seconds: float,
        on_thread: OnThread,
        hop_seconds: float | None = None,
    ) -> Answer:
        """Answer for a file in any accepted format.

        A block of clips is decoded and made into spectrograms on a worker thread while the
        network reads the block before: of a long recording little more than that is held.

        Args:
            data: the file.
            max_seconds: longest recording accepted.
            on_thread: how work is taken off the event loop.
            hop_seconds: between the starts of neighbouring clips; None: as the card says.

        Raises:
            AudioError: one of its kinds, for whatever makes the recording unfit.
            OverloadedError: too many clips wait for the network.
        """
        front_end = self.card.front_end
        if hop_seconds is not None:
            hop = min(hop_seconds, front_end.clip_seconds)
            front_end = front_end.model_copy(update={"clip_hop_seconds": hop})
        stream = MonoStream(data, sample_rate=front_end.sample_rate, max_seconds=max_seconds)
        blocks = clip_blocks(stream.blocks(), front_end, clips=BATCH)
        starts, logits = await self._listen(blocks, on_thread)
        probabilities = calibrate(logits, self.card.temperature)
        return Answer(
            probabilities=probabilities.mean(axis=0),
            clip_probabilities=probabilities,
            clip_starts=starts,
            clip_seconds=front_end.clip_seconds,
            seconds=stream.seconds,
            info=stream.info,
        )

    async def infer(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `[clips, labels]`; see `Batcher.infer`."""
        return await self._batcher.infer(spectrograms)

    async def _listen(
        self, blocks: Iterator[ClipBlock], on_thread: OnThread
    ) -> tuple[list[float], NDArray[np.float32]]:
        starts: list[float] = []
        logits: list[NDArray[np.float32]] = []
        block = await on_thread(blocks.__next__)
        while True:
            following = None if block.last else asyncio.ensure_future(on_thread(blocks.__next__))
            try:
                logits.append(await self.infer(block.spectrograms))
            except BaseException:
                if following is not None:
                    # The file must not be closed while a thread reads it.
                    await asyncio.wait([following])
                raise
            starts += block.starts
            if following is None:
                return starts, np.concatenate(logits)
            block = await following
