"""From the bytes of a file to what is in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.checkpoints.card import Card
from app.inference.answers import CheckpointName, Classification, Clip, RankedLabel, Segment
from app.inference.classifier import Answer, Classifier, OnThread
from app.inference.timeline import Stretch, shares, timeline


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
    classifier: Classifier, data: bytes, wanted: Wanted, *, max_seconds: float, on_thread: OnThread
) -> Classification:
    """Classify the recording in a file and describe the answer.

    Args:
        classifier: of the task and window that are asked for.
        data: a file in any accepted format.
        wanted: what the answer shall hold.
        max_seconds: longest recording accepted.
        on_thread: how work is taken off the event loop.

    Raises:
        AudioError: one of its kinds, for whatever makes the recording unfit.
        OverloadedError: too many clips wait for the network.
    """
    answer = await classifier.classify(
        data, max_seconds=max_seconds, on_thread=on_thread, hop_seconds=wanted.hop_seconds
    )
    return _describe(classifier.card, answer, wanted)


def rank(probabilities: NDArray[np.float32], card: Card, top_k: int) -> list[RankedLabel]:
    """The `top_k` labels of a card, most probable first; `probabilities` has shape `[labels]`."""
    order = np.argsort(probabilities)[::-1][:top_k]
    return [
        RankedLabel(label=card.labels[i], probability=round(float(p), 4))
        for i, p in zip(order, probabilities[order], strict=True)
    ]


def _describe(card: Card, answer: Answer, wanted: Wanted) -> Classification:
    ranked = rank(answer.probabilities, card, wanted.top_k)
    found = _stretches(answer, wanted)
    return Classification(
        task=card.task,
        label=ranked[0].label,
        probability=ranked[0].probability,
        ranked=ranked,
        clip=Clip(
            seconds=round(answer.seconds, 3),
            sample_rate=answer.info.sample_rate,
            channels=answer.info.channels,
            format=answer.info.format,
        ),
        checkpoint=CheckpointName(
            task=card.task, window=card.front_end.window, version=card.version
        ),
        segments=None if found is None else [_segment(stretch, card) for stretch in found],
        shares=None if found is None else _rounded(shares(found, card.labels)),
    )


def _stretches(answer: Answer, wanted: Wanted) -> list[Stretch] | None:
    if len(answer.clip_probabilities) == 1:
        return None
    return timeline(
        answer.clip_probabilities,
        answer.clip_starts,
        clip_seconds=answer.clip_seconds,
        seconds=answer.seconds,
        shortest=wanted.segment_seconds,
    )


def _segment(stretch: Stretch, card: Card) -> Segment:
    return Segment(
        start=round(stretch.start, 3),
        end=round(stretch.end, 3),
        label=card.labels[stretch.label],
        probability=round(stretch.probability, 4),
    )


def _rounded(of_labels: dict[str, float]) -> dict[str, float]:
    return {label: round(share, 4) for label, share in of_labels.items()}
