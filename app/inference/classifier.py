"""From the bytes of a file to its labels, a block of clips at a time."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.audio.network_inputs import ClipBlock, InputConfig, clip_blocks
from app.checkpoints.card import Card
from app.decoding.errors import SilentAudioError
from app.decoding.recording import MonoStream, RecordingReader
from app.inference.batcher import Batcher
from app.inference.engine import MAX_BATCH_SIZE, apply_temperature
from app.inference.instrumentation import Instrumentation, NullInstrumentation, StageTimer
from app.inference.segments import ClipPredictions, label_fractions, segment_recording
from earshot.schemas import (
    AudioInfo,
    CheckpointRef,
    Classification,
    Progress,
    RankedLabel,
    Reason,
)

T = TypeVar("T")

_UNRANKED: tuple[Reason, ...] = ("silent", "too_short")

OnProgress = Callable[[Progress], None]
"""is called after each block of clips, on the event loop"""


class RunInThread(Protocol):
    """Runs a function on a worker thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return the result of `work`."""
        ...


@dataclass(frozen=True)
class ClassifyOptions:
    """Options of a classification."""

    top_k: int = 3
    """labels to rank"""
    hop_seconds: float | None = None
    """between the starts of neighbouring clips of a long recording; None: as the card says"""
    min_segment_seconds: float = 0.0
    """of the shortest segment of a long recording"""


@dataclass(frozen=True)
class RecordingPrediction:
    """The prediction for a recording as a whole, and for each of its clips."""

    probabilities: NDArray[np.float32]
    """shape `[labels]`, in the order of the card's labels; they add up to 1"""
    rejection: Reason | None
    """why the recording as a whole has no label, None if it has one"""
    clips: ClipPredictions
    audio: AudioInfo
    warnings: tuple[str, ...] = ()
    """what of the file could not be decoded or is missing"""
    samples: NDArray[np.float32] | None = None
    """mono, at the card's rate, shape `[samples]`, where they were asked for"""


@dataclass(frozen=True)
class RecordingEmbedding:
    """The embeddings of a recording's clips."""

    starts: NDArray[np.float64]
    """seconds from the recording's beginning, shape `[clips]`"""
    clips: NDArray[np.float32]
    """shape `[clips, features]`"""
    silent: NDArray[np.bool_]
    """whether nothing can be heard in a clip, shape `[clips]`; not all are"""
    audio: AudioInfo
    warnings: tuple[str, ...]

    @property
    def mean(self) -> NDArray[np.float32]:
        """The mean over the clips in which something can be heard, `[features]`."""
        mean: NDArray[np.float32] = self.clips[~self.silent].mean(axis=0)
        return mean


@dataclass(frozen=True)
class Prediction:
    """The label of a clip, or of a recording as a whole."""

    label: str | None
    probability: float
    """of `label`, 0 where there is none"""
    ranked: list[RankedLabel]
    """most probable first: the answer if it had to be one of them; empty where nothing is known"""


class Classifier:
    """Classifies recordings with one checkpoint."""

    def __init__(
        self,
        card: Card,
        batcher: Batcher,
        reader: RecordingReader,
        run_in_thread: RunInThread,
        instrumentation: Instrumentation | None = None,
    ) -> None:
        """Take what a classification needs; nothing is loaded here.

        Args:
            card: of the checkpoint.
            batcher: of its network.
            reader: opens the recordings.
            run_in_thread: takes work off the event loop.
            instrumentation: records the stages.
        """
        self.card = card
        self._batcher = batcher
        self._reader = reader
        self._run_in_thread = run_in_thread
        self._instrumentation = instrumentation or NullInstrumentation()

    async def classify_recording(
        self, data: bytes, options: ClassifyOptions, on_progress: OnProgress | None = None
    ) -> Classification:
        """Classify the recording in a file of any accepted format.

        Raises:
            AudioError: the recording cannot be classified.
            OverloadedError: too many clips wait for the network.
        """
        prediction = await self.predict_recording(data, options, on_progress=on_progress)
        card, rejection = self.card, prediction.rejection
        whole = rank_labels(prediction.probabilities, rejection, card.labels, options.top_k)
        segments = None
        if len(prediction.clips.starts) > 1:
            segments = segment_recording(
                prediction.clips,
                card,
                seconds=prediction.audio.seconds,
                min_duration=options.min_segment_seconds,
            )
        return Classification(
            task=card.task,
            label=whole.label,
            reason=rejection,
            probability=whole.probability,
            ranked=whole.ranked,
            audio=prediction.audio,
            checkpoint=CheckpointRef(task=card.task, name=card.name, version=card.version),
            segments=segments,
            label_fractions=None if segments is None else label_fractions(segments),
            warnings=list(prediction.warnings),
        )

    async def predict_recording(
        self,
        data: bytes,
        options: ClassifyOptions,
        *,
        on_progress: OnProgress | None = None,
        reader: RecordingReader | None = None,
        keep_samples: bool = False,
    ) -> RecordingPrediction:
        """Predict the labels of a recording and of its clips.

        A block of clips is decoded and made into inputs on a worker thread while the
        network reads the block before: of a long recording little more than that is held.

        Args:
            data: a file in any accepted format.
            options: of which the hop is used here.
            on_progress: is called after each block of clips, at last for the whole recording.
            reader: opens the recording in place of the classifier's own.
            keep_samples: whether the samples are returned too.

        Raises:
            AudioError: the recording cannot be classified; SilentAudioError only where the
                samples are asked for.
            OverloadedError: too many clips wait for the network.
        """
        config = self._input_config(options.hop_seconds)

        def on_batch(block: ClipBlock) -> None:
            if on_progress is not None:
                on_progress(_progress(block.starts[-1] + config.clip_seconds, stream))

        async with (reader or self._reader).open(
            data, sample_rate=config.sample_rate, keep_samples=keep_samples
        ) as stream:
            timer = StageTimer()
            blocks = clip_blocks(_timed(stream.blocks(), timer), config, clips=MAX_BATCH_SIZE)
            pairs = await self._run_batches(self._recorded(blocks, timer), self.infer, on_batch)
        outputs = np.concatenate([outputs for _, outputs in pairs])
        silent = np.concatenate([block.silent for block, _ in pairs])
        clips = ClipPredictions(
            starts=np.concatenate([block.starts for block, _ in pairs]),
            probabilities=label_probabilities(outputs, self.card, stream.seconds),
            # A constant level gets edges where it begins and ends, once it is resampled.
            rejections=rejection_reasons(
                outputs, silent | stream.is_silent, self.card, stream.seconds
            ),
            partially_silent=np.concatenate([block.partially_silent for block, _ in pairs]),
        )
        labelled = np.array([reason is None for reason in clips.rejections])
        return RecordingPrediction(
            probabilities=clips.probabilities[labelled if labelled.any() else slice(None)].mean(
                axis=0
            ),
            rejection=aggregate_rejection(clips.rejections, clips.partially_silent.tolist()),
            clips=clips,
            audio=_audio_info(stream),
            warnings=stream.warnings,
            samples=stream.samples if keep_samples else None,
        )

    async def embed_recording(
        self, data: bytes, embedder: Batcher, hop_seconds: float | None = None
    ) -> RecordingEmbedding:
        """Compute the embedding of each clip of a recording.

        Args:
            data: a file in any accepted format.
            embedder: of an engine that embeds, of the same checkpoint.
            hop_seconds: as in `ClassifyOptions`.

        Raises:
            AudioError: the recording cannot be read, or is silent.
            OverloadedError: too many clips wait for the network.
        """
        config = self._input_config(hop_seconds)
        async with self._reader.open(data, sample_rate=config.sample_rate) as stream:
            timer = StageTimer()
            blocks = clip_blocks(_timed(stream.blocks(), timer), config, clips=MAX_BATCH_SIZE)
            pairs = await self._run_batches(self._recorded(blocks, timer), embedder.infer)
        silent = np.concatenate([block.silent for block, _ in pairs])
        if stream.is_silent or silent.all():
            raise SilentAudioError("the recording is silent: there is nothing to embed")
        return RecordingEmbedding(
            starts=np.concatenate([block.starts for block, _ in pairs]),
            clips=np.concatenate([embeddings for _, embeddings in pairs]),
            silent=silent,
            audio=_audio_info(stream),
            warnings=stream.warnings,
        )

    async def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the outputs `[clips, Card.output_size]`; see `Batcher.infer`."""
        return await self._batcher.infer(inputs)

    def _input_config(self, hop_seconds: float | None) -> InputConfig:
        """Return the input of the network, with clips at most a clip's length apart."""
        config = self.card.input
        if hop_seconds is None:
            return config
        hop = min(hop_seconds, config.clip_seconds)
        return config.model_copy(update={"clip_hop_seconds": hop})

    async def _run_batches(
        self,
        blocks: Iterator[ClipBlock],
        infer: Callable[[NDArray[np.float32]], Awaitable[NDArray[np.float32]]],
        on_batch: Callable[[ClipBlock], None] = lambda _: None,
    ) -> list[tuple[ClipBlock, NDArray[np.float32]]]:
        """Return each block, without its inputs, and the outputs of its clips."""
        pairs = []
        block = await self._run_in_thread(blocks.__next__)
        while True:
            following = (
                None if block.last else asyncio.ensure_future(self._run_in_thread(blocks.__next__))
            )
            try:
                outputs = await infer(block.inputs)
            except BaseException:
                if following is not None:
                    following.cancel()
                raise
            pairs.append((block.without_inputs(), outputs))
            on_batch(block)
            if following is None:
                return pairs
            block = await following

    def _recorded(self, blocks: Iterator[ClipBlock], decoding: StageTimer) -> Iterator[ClipBlock]:
        """Yield `blocks`, and record how long each took to decode and to make inputs of."""
        while True:
            began = perf_counter()
            try:
                block = next(blocks, None)
            except BaseException:
                self._instrumentation.record_stage("decode", began, began + decoding.lap())
                raise
            decoded = began + decoding.lap()
            self._instrumentation.record_stage("decode", began, decoded)
            if block is None:
                return
            self._instrumentation.record_stage("features", decoded, perf_counter())
            yield block


def label_probabilities(
    outputs: NDArray[np.float32], card: Card, seconds: float = math.inf
) -> NDArray[np.float32]:
    """Return calibrated probabilities `[clips, labels]` of `[clips, Card.output_size]`.

    `seconds` is the length of their recording.
    """
    return apply_temperature(outputs[:, : len(card.labels)], card.temperature_of(seconds))


def rejection_reasons(
    outputs: NDArray[np.float32],
    silent: NDArray[np.bool_],
    card: Card,
    seconds: float = math.inf,
) -> list[Reason | None]:
    """Return why each clip has no label, or None where it has one.

    Args:
        outputs: shape `[clips, Card.output_size]`.
        silent: whether nothing can be heard in a clip, shape `[clips]`.
        card: of the checkpoint that gave the outputs. Where it names no threshold, every clip
            that can be heard has a label.
        seconds: length of their recording.
    """
    if card.is_too_short(seconds):
        return ["silent" if each else "too_short" for each in silent]
    if card.ood is None or card.ood.threshold is None:
        return ["silent" if each else None for each in silent]
    is_ood = outputs[:, -1] < card.ood.threshold
    return [
        "silent" if quiet else card.ood.reason if rejected else None
        for quiet, rejected in zip(silent, is_ood, strict=True)
    ]


def aggregate_rejection(
    clips: Sequence[Reason | None], partially_silent: Sequence[bool]
) -> Reason | None:
    """Return why a recording of these clips has no label as a whole, or None if it has one.

    It has one when at least half of the clips that can be heard do. Clips that are
    `partially_silent` count only where all are: they are unlike the training data for that alone.
    """
    audible = [
        (reason, partly)
        for reason, partly in zip(clips, partially_silent, strict=True)
        if reason != "silent"
    ]
    if not audible:
        return "silent"
    fully_audible = [reason for reason, partly in audible if not partly]
    counted = fully_audible or [reason for reason, _ in audible]
    reasons = [reason for reason in counted if reason is not None]
    return reasons[0] if 2 * len(reasons) > len(counted) else None


def rank_labels(
    probabilities: NDArray[np.float32],
    rejection: Reason | None,
    labels: Sequence[str],
    top_k: int,
) -> Prediction:
    """Rank the labels, and take the most probable one where there is no reason against it.

    Args:
        probabilities: shape `[labels]`.
        rejection: why there is no label, None if there is one.
        labels: of the card.
        top_k: labels to rank.
    """
    order = np.argsort(probabilities)[::-1][:top_k]
    ranked = [
        RankedLabel(label=labels[i], probability=round(float(p), 4))
        for i, p in zip(order, probabilities[order], strict=True)
    ]
    if rejection is None:
        return Prediction(ranked[0].label, ranked[0].probability, ranked)
    return Prediction(None, 0.0, [] if rejection in _UNRANKED else ranked)


def _timed(blocks: Iterator[T], timer: StageTimer) -> Iterator[T]:
    while True:
        with timer.running():
            block = next(blocks, None)
        if block is None:
            return
        yield block


def _audio_info(stream: MonoStream) -> AudioInfo:
    """Return the facts about a recording that was read to its end."""
    return AudioInfo(
        seconds=round(stream.seconds, 3),
        sample_rate=stream.metadata.sample_rate,
        channels=stream.metadata.channels,
        format=stream.metadata.format,
        track=stream.metadata.track,
    )


def _progress(end: float, stream: MonoStream) -> Progress:
    seconds = round(min(end, stream.seconds), 3)
    declared = stream.metadata.seconds
    # A file may declare too little.
    return Progress(
        seconds=seconds, total=None if declared is None else max(seconds, round(declared, 3))
    )
