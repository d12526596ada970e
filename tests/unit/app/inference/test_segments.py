import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inference.segments import LabelSpan, _viterbi_path, label_fractions, segment_labels
from earshot.schemas import Segment


def clips(*labels: int, sure: float = 0.9) -> np.ndarray:
    """Probabilities of three labels, the named one of each clip being `sure`."""
    found = np.full((len(labels), 3), (1 - sure) / 2, np.float32)
    found[np.arange(len(labels)), labels] = sure
    return found


def spans(
    probabilities: np.ndarray,
    hop: float = 2.0,
    min_duration: float = 0.0,
    weights: np.ndarray | None = None,
) -> list[LabelSpan]:
    starts = hop * np.arange(len(probabilities))
    return segment_labels(
        probabilities,
        starts,
        weights=np.ones(len(starts)) if weights is None else weights,
        clip_seconds=4.0,
        seconds=starts[-1] + 4.0,
        min_duration=min_duration,
    )


def test_neighbours_of_one_label_are_one_span() -> None:
    [span] = spans(clips(1, 1, 1))
    assert (span.start, span.end, span.label) == (0, 8, 1)
    assert span.probability == pytest.approx(0.9)


def test_a_change_lies_where_the_clips_of_both_meet() -> None:
    """Clips end at 4, 6 | 8, 10; between 4 and 6 both labels are heard, equally."""
    first, second = spans(clips(0, 0, 2, 2))
    assert (first.start, first.label, second.label, second.end) == (0, 0, 2, 10)
    assert first.end == second.start
    assert 4 <= first.end <= 6


def test_a_clip_of_little_weight_is_heard_only_where_no_other_is() -> None:
    found = spans(clips(0, 1, 2, 1, 0), weights=np.float64([1, 1e-3, 1, 1e-3, 1]))
    assert [(s.start, s.end, s.label) for s in found] == [(0, 4, 0), (4, 8, 2), (8, 12, 0)]
    alone = spans(clips(0, 1, 0), hop=4.0, weights=np.float64([1, 1e-3, 1]))
    assert [(s.start, s.end, s.label) for s in alone] == [(0, 4, 0), (4, 8, 1), (8, 12, 0)]


def test_a_moment_that_is_hardly_more_probable_does_not_interrupt() -> None:
    unsure = np.float32([[0.9, 0.1, 0], [0.45, 0.55, 0], [0.9, 0.1, 0]])
    assert [s.label for s in spans(unsure, hop=4.0)] == [0]
    sure = np.float32([[0.9, 0.1, 0], [0.05, 0.95, 0], [0.9, 0.1, 0]])
    assert [(s.start, s.end, s.label) for s in spans(sure, hop=4.0)] == [
        (0, 4, 0),
        (4, 8, 1),
        (8, 12, 0),
    ]


def test_short_spans_go_to_the_more_probable_neighbour() -> None:
    probabilities = clips(0, 0, 1, 2, 2)
    probabilities[2] = [0.001, 0.9, 0.099]
    assert [s.label for s in spans(probabilities, hop=4.0)] == [0, 1, 2]
    found = spans(probabilities, hop=4.0, min_duration=5)
    assert [(s.start, s.end, s.label) for s in found] == [(0, 8, 0), (8, 20, 2)]


def test_fractions_of_the_time() -> None:
    labels = [(0, 6, "drilling"), (6, 7, "siren"), (7, 8, None), (8, 10, "drilling")]
    segments = [
        Segment(start=start, end=end, label=label, probability=0.9) for start, end, label in labels
    ]
    fractions = label_fractions(segments)
    assert list(fractions.items()) == [("drilling", 0.8), ("siren", 0.1)]


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_the_path_is_the_best_of_all(count: int, seed: int) -> None:
    scores = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), count))

    def value(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in itertools.pairwise(path))
        return sum(scores[i, label] for i, label in enumerate(path)) - changes * np.log(2)

    best = max(value(path) for path in itertools.product(range(3), repeat=count))
    assert value(tuple(_viterbi_path(scores))) == pytest.approx(best)


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=12),
    st.floats(0.5, 4),
    st.floats(0, 9),
    st.integers(0, 99),
)
def test_stretches_cover_the_recording_without_gaps(
    labels: list[int], hop: float, min_duration: float, seed: int
) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(3), len(labels))
    found = spans(probabilities.astype(np.float32), hop, min_duration)
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(hop * (len(labels) - 1) + 4, abs=1e-5)
    for one, other in itertools.pairwise(found):
        assert one.end == other.start
        assert one.label != other.label
    if len(found) > 1:
        assert min(s.end - s.start for s in found) >= min_duration - 1e-9
