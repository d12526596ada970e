"""From the bytes of a file to what is in it."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from app.checkpoints.card import Card
from app.decoding.recording import AudioLimits
from app.decoding.source import AudioOpener
from app.inference.answers import CheckpointName, Classification, Clip, RankedLabel, Segment
from app.inference.classifier import Answer, Classifier, OnProgress, OnThread
from app.inference.names import Reason
from app.inference.segments import Stretch, shares, timeline

# Of a clip with silence in it, which says little of when its sound was heard, and may be unlike
# what was learned for that alone; next to nothing where it overlaps with a clip without.
_WEIGHT_OF_GAPS = 1e-3
_REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True)
class Wanted:
    """What an answer shall hold."""

    top_k: int = 3
    """labels to rank"""
    hop_seconds: float | None = None
    """between the starts of neighbouring clips of a long recording; None: as trained"""
    segment_seconds: float = 0.0
    """of the shortest segment in the timeline of a long recording"""


async def recognise(
    classifier: Classifier,
    data: bytes,
    wanted: Wanted,
    *,
    max_seconds: float,
    on_thread: OnThread,
    bounds: AudioLimits,
    open_with_ffmpeg: AudioOpener | None = None,
    on_progress: OnProgress | None = None,
) -> Classification:
    """Classify the recording in a file and describe the answer.

    Args:
        classifier: of the task and window that are asked for.
        data: a file in any accepted format.
        wanted: what the answer shall hold.
        max_seconds: longest recording accepted.
        on_thread: how work is taken off the event loop.
        bounds: of the channels and the sample rate accepted.
        open_with_ffmpeg: see `app.decoding.recording.open_audio`.
        on_progress: is told how far it is, after each block of clips.

    Raises:
        AudioError: one of its kinds, for whatever makes the recording unfit.
        OverloadedError: too many clips wait for the network.
    """
    answer = await classifier.classify(
        data,
        max_seconds=max_seconds,
        on_thread=on_thread,
        bounds=bounds,
        open_with_ffmpeg=open_with_ffmpeg,
        hop_seconds=wanted.hop_seconds,
        on_progress=on_progress,
    )
    return _describe(classifier.card, answer, wanted)


@dataclass(frozen=True)
class Verdict:
    """What is said of a clip, or of a recording as a whole."""

    label: str | None
    probability: float
    """of `label`, 0 where there is none"""
    ranked: list[RankedLabel]
    """most probable first: what it would be if it had to be one of them; nothing for silence"""


def verdict(
    probabilities: NDArray[np.float32], reason: Reason | None, card: Card, top_k: int
) -> Verdict:
    """Name the most probable label, where there is no reason against it.

    Args:
        probabilities: shape `[labels]`, in the order of the card's labels.
        reason: why it has no label, None if it has one.
        card: of the checkpoint that answered.
        top_k: labels to rank.
    """
    order = np.argsort(probabilities)[::-1][:top_k]
    ranked = [
        RankedLabel(label=card.labels[i], probability=round(float(p), 4))
        for i, p in zip(order, probabilities[order], strict=True)
    ]
    if reason is None:
        return Verdict(ranked[0].label, ranked[0].probability, ranked)
    return Verdict(None, 0.0, [] if reason == "silent" else ranked)


def _describe(card: Card, answer: Answer, wanted: Wanted) -> Classification:
    said = verdict(answer.probabilities, answer.unlabelled, card, wanted.top_k)
    found = _stretches(answer, wanted)
    return Classification(
        task=card.task,
        label=said.label,
        reason=answer.unlabelled,
        probability=said.probability,
        ranked=said.ranked,
        clip=Clip(
            seconds=round(answer.seconds, 3),
            sample_rate=answer.info.sample_rate,
            channels=answer.info.channels,
            format=answer.info.format,
        ),
        checkpoint=CheckpointName(task=card.task, window=card.input.window, version=card.version),
        segments=None if found is None else [_segment(stretch, card) for stretch in found],
        shares=None if found is None else _rounded(_shares(found, card)),
    )


def _stretches(answer: Answer, wanted: Wanted) -> list[Stretch] | None:
    """What is heard when; labels beyond the card's are `_REASONS`."""
    if len(answer.clip_probabilities) == 1:
        return None
    of_reasons = np.array(
        [[reason == each for each in _REASONS] for reason in answer.clip_unlabelled], np.float32
    )
    labelled = 1 - of_reasons.sum(axis=1, keepdims=True)
    return timeline(
        np.hstack([labelled * answer.clip_probabilities, of_reasons]),
        answer.clip_starts,
        weights=np.where(answer.clip_gaps, _WEIGHT_OF_GAPS, 1.0),
        clip_seconds=answer.clip_seconds,
        seconds=answer.seconds,
        shortest=wanted.segment_seconds,
    )


def _segment(stretch: Stretch, card: Card) -> Segment:
    start, end = round(stretch.start, 3), round(stretch.end, 3)
    if stretch.label >= len(card.labels):
        reason = _REASONS[stretch.label - len(card.labels)]
        return Segment(start=start, end=end, label=None, reason=reason, probability=0.0)
    label, probability = card.labels[stretch.label], round(stretch.probability, 4)
    return Segment(start=start, end=end, label=label, probability=probability)


def _shares(found: list[Stretch], card: Card) -> dict[str, float]:
    of_all = shares(found, [*card.labels, *_REASONS])
    return {label: share for label, share in of_all.items() if label in card.labels}


def _rounded(of_labels: dict[str, float]) -> dict[str, float]:
    return {label: round(share, 4) for label, share in of_labels.items()}
