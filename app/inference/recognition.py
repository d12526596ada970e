"""From the bytes of a file to what is in it."""

import numpy as np

from app.checkpoints.card import Card
from app.inference.answers import CheckpointName, Classification, Clip, RankedLabel, Segment
from app.inference.classifier import Answer, Classifier, OnThread


async def recognise(
    classifier: Classifier, data: bytes, *, max_seconds: float, top_k: int, on_thread: OnThread
) -> Classification:
    """Classify the recording in a file and describe the answer.

    Args:
        classifier: of the task and window that are asked for.
        data: a file in any accepted format.
        max_seconds: longest recording accepted.
        top_k: how many labels to rank, at least 1.
        on_thread: how work is taken off the event loop.

    Raises:
        AudioError: one of its kinds, for whatever makes the recording unfit.
        OverloadedError: too many clips wait for the network.
    """
    answer = await classifier.classify(data, max_seconds=max_seconds, on_thread=on_thread)
    return _describe(classifier.card, answer, top_k)


def _describe(card: Card, answer: Answer, top_k: int) -> Classification:
    order = np.argsort(answer.probabilities)[::-1][:top_k]
    ranked = [
        RankedLabel(label=card.labels[i], probability=round(float(p), 4))
        for i, p in zip(order, answer.probabilities[order], strict=True)
    ]
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
        segments=_segments(card, answer),
    )


def _segments(card: Card, answer: Answer) -> list[Segment] | None:
    if len(answer.clip_probabilities) == 1:
        return None
    return [
        Segment(
            start=round(start, 3),
            end=round(start + card.front_end.clip_seconds, 3),
            label=card.labels[int(probabilities.argmax())],
            probability=round(float(probabilities.max()), 4),
        )
        for start, probabilities in zip(answer.clip_starts, answer.clip_probabilities, strict=True)
    ]
