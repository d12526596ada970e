"""From the bytes of a file to what is in it."""

import numpy as np

from app.audio.clips import starts
from app.audio.recording import Recording, read_recording
from app.inference.answers import CheckpointName, Classification, Clip, RankedLabel, Segment
from app.inference.classifier import Answer, Classifier


def recognise(
    classifier: Classifier, data: bytes | bytearray, *, max_seconds: float, top_k: int
) -> Classification:
    """Decode a file, classify the recording in it and describe the answer.

    Args:
        classifier: of the task and window that are asked for.
        data: a file in any accepted format.
        max_seconds: longest recording accepted.
        top_k: how many labels to rank, at least 1.

    Raises:
        AudioError: one of its kinds, for whatever makes the recording unfit.
    """
    sample_rate = classifier.card.front_end.sample_rate
    recording = read_recording(data, sample_rate=sample_rate, max_seconds=max_seconds)
    return _describe(classifier, recording, classifier.classify(recording.samples), top_k)


def _describe(
    classifier: Classifier, recording: Recording, answer: Answer, top_k: int
) -> Classification:
    card, info = classifier.card, recording.info
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
            seconds=round(recording.seconds, 3),
            sample_rate=info.sample_rate,
            channels=info.channels,
            format=info.format,
        ),
        checkpoint=CheckpointName(
            task=card.task, window=card.front_end.window, version=card.version
        ),
        segments=_segments(classifier, recording, answer),
    )


def _segments(classifier: Classifier, recording: Recording, answer: Answer) -> list[Segment] | None:
    if len(answer.clip_probabilities) == 1:
        return None
    labels, front_end = classifier.card.labels, classifier.card.front_end
    first_samples = starts(
        recording.samples.size, front_end.clip_samples, front_end.clip_hop_samples
    )
    return [
        Segment(
            start=round(start / front_end.sample_rate, 3),
            end=round((start + front_end.clip_samples) / front_end.sample_rate, 3),
            label=labels[int(probabilities.argmax())],
            probability=round(float(probabilities.max()), 4),
        )
        for start, probabilities in zip(first_samples, answer.clip_probabilities, strict=True)
    ]
