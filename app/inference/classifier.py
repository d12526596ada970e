"""From the bytes of a file to a calibrated answer, a block of clips at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.audio.features import ClipBlock, clip_blocks
from app.checkpoints.card import Card
from app.decoding.recording import AudioLimits, MonoStream
from app.decoding.source import AudioInfo, AudioOpener
from app.inference.answers import Progress
from app.inference.batcher import Batcher
from app.inference.engine import MAX_BATCH_SIZE
from app.inference.instrumentation import (
    NULL_INSTRUMENTATION,
    Instrumentation,
    StageTimer,
    timed_blocks,
)
from app.inference.names import Reason
from app.inference.outputs import probabilities, unlabelled, unlabelled_whole

T = TypeVar("T")

OnProgress = Callable[[Progress], None]
"""is told after each block of clips, on the event loop"""


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
    unlabelled: Reason | None
    """why the recording as a whole has no label, None if it has one"""
    clip_probabilities: NDArray[np.float32]
    """shape `[clips, labels]`"""
    clip_unlabelled: list[Reason | None]
    """why a clip has no label, None where it has one"""
    clip_gaps: NDArray[np.bool_]
    """whether a part of a clip is silent, shape `[clips]`; see `app.audio.features.ClipBlock`"""
    clip_starts: list[float]
    """seconds"""
    clip_seconds: float
    seconds: float
    """duration of the recording"""
    info: AudioInfo


class Classifier:
    """A checkpoint's card and its network."""

    def __init__(
        self, card: Card, batcher: Batcher, instrumentation: Instrumentation = NULL_INSTRUMENTATION
    ) -> None:
        self.card = card
        self._batcher = batcher
        self._instrumentation = instrumentation

    async def classify(
        self,
        data: bytes,
        *,
        max_seconds: float,
        on_thread: OnThread,
        bounds: AudioLimits,
        open_with_ffmpeg: AudioOpener | None = None,
        hop_seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Answer:
        """Answer for a file in any accepted format.

        A block of clips is decoded and made into spectrograms on a worker thread while the
        network reads the block before: of a long recording little more than that is held.

        Args:
            data: the file.
            max_seconds: longest recording accepted.
            on_thread: how work is taken off the event loop.
            bounds: of the channels and the sample rate accepted.
            open_with_ffmpeg: see `app.decoding.recording.open_audio`.
            hop_seconds: between the starts of neighbouring clips; None: as the card says.
            on_progress: is told how far it is; the last time, of the whole recording.

        Raises:
            AudioError: one of its kinds, for whatever makes the recording unfit.
            OverloadedError: too many clips wait for the network.
        """
        config = self.card.input
        if hop_seconds is not None:
            hop = min(hop_seconds, config.clip_seconds)
            config = config.model_copy(update={"clip_hop_seconds": hop})
        stream = MonoStream(
            data,
            sample_rate=config.sample_rate,
            max_seconds=max_seconds,
            bounds=bounds,
            open_with_ffmpeg=open_with_ffmpeg,
        )
        decoding = StageTimer(stream.blocks())
        blocks = clip_blocks(decoding, config, clips=MAX_BATCH_SIZE)
        observed = timed_blocks(blocks, decoding, self._instrumentation)

        def heard(block: ClipBlock) -> None:
            if on_progress is not None:
                on_progress(_progress(block.starts[-1] + config.clip_seconds, stream))

        starts, outputs, silent, gaps = await self._listen(observed, on_thread, heard)
        of_clips = probabilities(outputs, self.card)
        # A constant level gets edges where it begins and ends, once it is resampled.
        reasons = unlabelled(outputs, silent | stream.silent, self.card)
        known = np.array([reason is None for reason in reasons])
        return Answer(
            probabilities=of_clips[known if known.any() else slice(None)].mean(axis=0),
            unlabelled=unlabelled_whole(reasons, gaps.tolist()),
            clip_probabilities=of_clips,
            clip_unlabelled=reasons,
            clip_gaps=gaps,
            clip_starts=starts,
            clip_seconds=config.clip_seconds,
            seconds=stream.seconds,
            info=stream.info,
        )

    async def infer(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs `[clips, Card.outputs]`; see `Batcher.infer`."""
        return await self._batcher.infer(spectrograms)

    async def _listen(
        self,
        blocks: Iterator[ClipBlock],
        on_thread: OnThread,
        heard: Callable[[ClipBlock], None],
    ) -> tuple[list[float], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """Starts, outputs, silences and gaps of all clips."""
        starts: list[float] = []
        outputs: list[NDArray[np.float32]] = []
        silent: list[NDArray[np.bool_]] = []
        gaps: list[NDArray[np.bool_]] = []
        block = await on_thread(blocks.__next__)
        while True:
            following = None if block.last else asyncio.ensure_future(on_thread(blocks.__next__))
            try:
                outputs.append(await self.infer(block.spectrograms))
            except BaseException:
                if following is not None:
                    # The file must not be closed while a thread reads it.
                    await asyncio.wait([following])
                raise
            starts += block.starts
            silent.append(block.silent)
            gaps.append(block.gaps)
            heard(block)
            if following is None:
                break
            block = await following
        return starts, np.concatenate(outputs), np.concatenate(silent), np.concatenate(gaps)


def _progress(end: float, stream: MonoStream) -> Progress:
    seconds = round(min(end, stream.seconds), 3)
    declared = stream.info.seconds
    # What a file says of itself may be too little.
    return Progress(
        seconds=seconds, total=None if declared is None else max(seconds, round(declared, 3))
    )
