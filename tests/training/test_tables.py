"""The tables that are printed of a store are what its cards say."""

from pathlib import Path

from app.checkpoints import store
from app.checkpoints.labels import LABELS
from training.tables import (
    calibration_table,
    figures_table,
    markdown,
    measured_cards,
    recall_table,
)


def test_a_table_is_markdown() -> None:
    assert markdown(("a", "b"), [("1", "2"), ("", "4")]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n|  | 4 |\n"
    )


def test_the_figures_are_the_cards(trained_store: Path) -> None:
    metrics = store.load(trained_store, "urban-sound", "hann").card.metrics
    assert metrics is not None
    cards = measured_cards(trained_store)
    scores = metrics.by_corpus["urbansound8k"]
    [fold] = metrics.held_out["urbansound8k"]
    row = (
        f"| urban-sound | hann | urbansound8k: {fold} | {scores.clips} | {scores.groups} "
        f"| {scores.accuracy:.1%} | {scores.uar:.1%} | {scores.macro_f1:.1%} |"
    )
    assert row in figures_table(cards)
    error = f"{metrics.expected_calibration_error:.1%}"
    assert f"| urban-sound | hann | {error} |" in calibration_table(cards)
    recalls = [
        f"{scores.recall[label]:.0%}" if label in scores.recall else ""
        for label in LABELS["urban-sound"]
    ]
    row = " | ".join(("hann", "urbansound8k", *recalls))
    assert f"| {row} |" in recall_table(cards)
