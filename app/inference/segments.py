"""From the predictions for overlapping clips to segments: which label is heard when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from app.checkpoints.card import Card
from earshot.schemas import Reason, Segment

# A label must beat the one around it by this factor, at its beginning and again at its end:
# a label that is hardly more probable for a moment does not interrupt.
_SWITCHING_ODDS = 2.0
# A clip with silence in it says little of when its sound was heard, and may be unlike the training
# data for that alone; it counts next to nothing where it overlaps with a clip without.
_PARTIALLY_SILENT_WEIGHT = 1e-3
_REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True)
class ClipPredictions:
    """Predictions for the clips that a recording is cut into."""

    starts: NDArray[np.float64]
    """seconds, rising, shape `[clips]`"""
    probabilities: NDArray[np.float32]
    """calibrated, in the order of the card's labels, shape `[clips, labels]`"""
    rejections: Sequence[Reason | None]
    """why a clip has no label, None where it has one"""
    partially_silent: NDArray[np.bool_]
    """shape `[clips]`; see `app.audio.clips.ClipBlock`"""


@dataclass(frozen=True)
class LabelSpan:
    """A part of a recording with one label."""

    start: float
    """seconds"""
    end: float
    """seconds"""
    label: int
    """index"""
    probability: float
    """mean over the span"""


def segment_recording(
    clips: ClipPredictions, card: Card, *, seconds: float, min_duration: float
) -> list[Segment]:
    """Return the segments of a recording of several clips.

    Args:
        clips: predictions for the clips.
        card: of the checkpoint that gave them.
        seconds: duration of the recording.
        min_duration: of a segment, seconds.
    """
    # The reasons for having no label are labels too, behind the card's.
    of_reasons = np.array(
        [[reason == each for each in _REASONS] for reason in clips.rejections], np.float32
    )
    labelled = 1 - of_reasons.sum(axis=1, keepdims=True)
    spans = segment_labels(
        np.hstack([labelled * clips.probabilities, of_reasons]),
        clips.starts,
        weights=np.where(clips.partially_silent, _PARTIALLY_SILENT_WEIGHT, 1.0),
        clip_seconds=card.input.clip_seconds,
        seconds=seconds,
        min_duration=min_duration,
    )
    return [_segment(span, card) for span in spans]


def label_fractions(segments: Sequence[Segment]) -> dict[str, float]:
    """Return the fraction of the time of each label that occurs, 0 to 1, largest first."""
    total = segments[-1].end - segments[0].start
    seconds: dict[str, float] = {}
    for segment in segments:
        if segment.label is not None:
            seconds[segment.label] = seconds.get(segment.label, 0.0) + segment.end - segment.start
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return {label: round(of_label / total, 4) for label, of_label in ordered}


def segment_labels(
    probabilities: NDArray[np.float32],
    starts: NDArray[np.float64],
    *,
    weights: NDArray[np.float64],
    clip_seconds: float,
    seconds: float,
    min_duration: float,
) -> list[LabelSpan]:
    """Join the predictions for overlapping clips to spans that follow each other.

    Where clips overlap, their probabilities are averaged with their weights. The labels are the
    most probable path through them if each change of label costs the odds of
    `_SWITCHING_ODDS` (Viterbi, IEEE Transactions on Information Theory 13, 1967); then a span
    that is shorter than `min_duration` goes to the more probable neighbour.

    Args:
        probabilities: of each clip, `[clips, labels]`.
        starts: of the clips, seconds, rising, from 0 on.
        weights: of each clip, above 0, `[clips]`.
        clip_seconds: length of each clip.
        seconds: length of the recording.
        min_duration: of a span, seconds.

    Returns:
        spans from 0 to `seconds` without gaps; neighbours have different labels.
    """
    edges, of_cells = _cells(probabilities, starts, weights, clip_seconds, seconds)
    lengths = np.diff(edges)
    scores = np.log(of_cells + 1e-9)
    labels = _viterbi_path(scores)
    while True:
        firsts = np.flatnonzero(np.diff(labels, prepend=-1))
        runs = list(zip(firsts, [*firsts[1:], len(labels)], strict=True))
        durations = [float(lengths[first:end].sum()) for first, end in runs]
        if len(runs) == 1 or min(durations) >= min_duration:
            break
        first, end = runs[int(np.argmin(durations))]
        neighbours = [labels[i] for i in (first - 1, end) if 0 <= i < len(labels)]
        labels[first:end] = max(neighbours, key=lambda label: scores[first:end, label].sum())
    return [
        LabelSpan(
            start=float(edges[first]),
            end=float(edges[end]),
            label=int(labels[first]),
            probability=float(
                np.average(of_cells[first:end, labels[first]], weights=lengths[first:end])
            ),
        )
        for first, end in runs
    ]


def _segment(span: LabelSpan, card: Card) -> Segment:
    start, end = round(span.start, 3), round(span.end, 3)
    if span.label >= len(card.labels):
        reason = _REASONS[span.label - len(card.labels)]
        return Segment(start=start, end=end, label=None, reason=reason, probability=0.0)
    label, probability = card.labels[span.label], round(span.probability, 4)
    return Segment(start=start, end=end, label=label, probability=probability)


def _cells(
    probabilities: NDArray[np.float32],
    starts: NDArray[np.float64],
    weights: NDArray[np.float64],
    clip_seconds: float,
    seconds: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut the time where any clip begins or ends, and average the clips within each cell.

    Returns edges `[cells + 1]` and probabilities `[cells, labels]`.
    """
    ends = np.minimum(starts + clip_seconds, seconds)
    # Rounded, so that an end and a start that should be the same do not make a cell of 1e-16 s.
    edges = np.unique(np.round(np.concatenate([starts, ends]), 6))
    middles = (edges[:-1] + edges[1:]) / 2
    covers = ((starts <= middles[:, None]) & (middles[:, None] < ends)) * weights
    return edges, covers @ probabilities.astype(np.float64) / covers.sum(axis=1, keepdims=True)


def _viterbi_path(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the label of each cell on the path of the largest sum, minus the cost of changes."""
    cost = np.log(_SWITCHING_ODDS)
    count, labels = scores.shape
    came_from = np.empty((count, labels), np.intp)
    best = scores[0]
    for cell in range(1, count):
        favourite = int(best.argmax())
        changes = best[favourite] - cost > best
        came_from[cell] = np.where(changes, favourite, np.arange(labels))
        best = np.where(changes, best[favourite] - cost, best) + scores[cell]
    path = np.empty(count, np.intp)
    path[-1] = best.argmax()
    for cell in range(count - 1, 0, -1):
        path[cell - 1] = came_from[cell, path[cell]]
    return path
