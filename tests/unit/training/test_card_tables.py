"""The tables that are printed of a store are what its cards say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.checkpoints import store
from app.checkpoints.store import ModelKey
from training.card_tables import (
    MeasuredCard,
    calibration_table,
    markdown_table,
    measured_cards,
    ood_table,
    recall_table,
    scores_table,
)
from training.tasks import TASKS

ROOT = Path(__file__).parents[3]


def test_a_table_is_markdown() -> None:
    assert markdown_table(("a", "b"), [("1", "2"), ("", "4")]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n|  | 4 |\n"
    )


def test_the_figures_are_the_cards(trained_store: Path) -> None:
    metrics = store.load(trained_store, ModelKey("urban-sound", "hann")).card.metrics
    assert metrics is not None
    cards = measured_cards(trained_store)
    scores = metrics.by_corpus["urbansound8k"]
    [fold] = metrics.held_out["urbansound8k"]
    row = (
        f"| urban-sound | hann | urbansound8k: {fold} | {scores.clips} | {scores.groups} "
        f"| {scores.accuracy:.1%} | {scores.uar:.1%} | {scores.macro_f1:.1%} |"
    )
    assert row in scores_table(cards)
    error = f"{metrics.expected_calibration_error:.1%}"
    assert f"| urban-sound | hann | {error} |" in calibration_table(cards)
    recalls = [
        f"{scores.recall[label]:.0%}" if label in scores.recall else ""
        for label in TASKS["urban-sound"].labels
    ]
    row = " | ".join(("hann", "urbansound8k", *recalls))
    assert f"| {row} |" in recall_table(cards)


@pytest.fixture(scope="module")
def shipped() -> list[MeasuredCard]:
    return measured_cards(ROOT / "models_store")


@pytest.mark.parametrize("table", [scores_table, calibration_table, ood_table, recall_table])
def test_the_docs_hold_the_tables_of_the_cards(
    shipped: list[MeasuredCard], table: Callable[[list[MeasuredCard]], str]
) -> None:
    assert table(shipped).strip() in (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def test_the_readme_shows_rows_of_them(shipped: list[MeasuredCard]) -> None:
    printed = scores_table(shipped).splitlines()
    text = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in text if line.startswith(("| urban-sound |", "| emotion |"))]
    assert len(rows) >= 6
    assert [row for row in rows if row not in printed] == []
