"""From the answers to overlapping clips to what is heard when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A label must beat the one around it by this factor, at its beginning and again at its end:
# what is hardly more probable for a moment does not interrupt.
_SWITCHING_ODDS = 2.0


@dataclass(frozen=True)
class Stretch:
    """A part of a recording with one label."""

    start: float
    """seconds"""
    end: float
    """seconds"""
    label: int
    probability: float
    """mean over the stretch"""


def timeline(
    probabilities: NDArray[np.float32],
    starts: Sequence[float],
    *,
    weights: NDArray[np.float64],
    clip_seconds: float,
    seconds: float,
    shortest: float,
) -> list[Stretch]:
    """Join the answers to overlapping clips to stretches that follow each other.

    Where clips overlap, their probabilities are averaged with their weights. The labels are the
    most probable path through them if each change of label costs the odds of
    `_SWITCHING_ODDS` (Viterbi, IEEE Transactions on Information Theory 13, 1967); then what is
    shorter than `shortest` goes to the more probable neighbour.

    Args:
        probabilities: of each clip, `[clips, labels]`.
        starts: of the clips, seconds, rising, from 0 on.
        weights: of each clip, above 0, `[clips]`.
        clip_seconds: length of each clip.
        seconds: length of the recording.
        shortest: length of the shortest stretch wanted, seconds.

    Returns:
        stretches from 0 to `seconds` without gaps; neighbours have different labels.
    """
    edges, of_cells = _cells(probabilities, np.asarray(starts), weights, clip_seconds, seconds)
    lengths = np.diff(edges)
    scores = np.log(of_cells + 1e-9)
    labels = _path(scores)
    while True:
        firsts = np.flatnonzero(np.diff(labels, prepend=-1))
        runs = list(zip(firsts, [*firsts[1:], len(labels)], strict=True))
        durations = [float(lengths[first:end].sum()) for first, end in runs]
        if len(runs) == 1 or min(durations) >= shortest:
            break
        first, end = runs[int(np.argmin(durations))]
        neighbours = [labels[i] for i in (first - 1, end) if 0 <= i < len(labels)]
        labels[first:end] = max(neighbours, key=lambda label: scores[first:end, label].sum())
    return [
        Stretch(
            start=float(edges[first]),
            end=float(edges[end]),
            label=int(labels[first]),
            probability=float(
                np.average(of_cells[first:end, labels[first]], weights=lengths[first:end])
            ),
        )
        for first, end in runs
    ]


def shares(stretches: Sequence[Stretch], labels: Sequence[str]) -> dict[str, float]:
    """Share of the time of each label that occurs, 0 to 1, largest first."""
    total = stretches[-1].end - stretches[0].start
    found: dict[str, float] = {}
    for stretch in stretches:
        name = labels[stretch.label]
        found[name] = found.get(name, 0.0) + (stretch.end - stretch.start) / total
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _cells(
    probabilities: NDArray[np.float32],
    starts: NDArray[np.float64],
    weights: NDArray[np.float64],
    clip_seconds: float,
    seconds: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges `[cells + 1]` where any clip begins or ends, and probabilities `[cells, labels]`."""
    ends = np.minimum(starts + clip_seconds, seconds)
    # Rounded, so that an end and a start that should be the same do not make a cell of 1e-16 s.
    edges = np.unique(np.round(np.concatenate([starts, ends]), 6))
    middles = (edges[:-1] + edges[1:]) / 2
    covers = ((starts <= middles[:, None]) & (middles[:, None] < ends)) * weights
    return edges, covers @ probabilities.astype(np.float64) / covers.sum(axis=1, keepdims=True)


def _path(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """The label of each cell on the path of the largest sum, changes being paid for."""
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
