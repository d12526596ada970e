"""What the docs say of the checkpoints is what their cards say."""

from pathlib import Path

import pytest

from app.checkpoints import store
from training.tables import calibration_table, figures_table, markdown, recall_table

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models_store"
DOCS = ROOT / "docs" / "models.md"


def test_a_table_is_markdown() -> None:
    assert markdown(("a", "b"), [("1", "2"), ("", "4")]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n|  | 4 |\n"
    )


@pytest.mark.parametrize("table", [figures_table, calibration_table, recall_table])
def test_the_docs_hold_the_tables_of_the_cards(table) -> None:  # type: ignore[no-untyped-def]
    assert table(SHIPPED) in DOCS.read_text(encoding="utf-8")


def test_the_readme_shows_rows_of_them() -> None:
    printed = figures_table(SHIPPED).splitlines()
    text = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in text if line.startswith(("| urban-sound |", "| emotion |"))]
    assert len(rows) >= 6
    assert [row for row in rows if row not in printed] == []


def test_the_figures_are_the_cards() -> None:
    metrics = store.load(SHIPPED, "urban-sound", "hann").card.metrics
    assert metrics is not None
    scores = metrics.by_corpus["urbansound8k"]
    row = (
        f"| urban-sound | hann | urbansound8k: 1 | {scores.clips} | {scores.groups} "
        f"| {scores.accuracy:.1%} | {scores.uar:.1%} | {scores.macro_f1:.1%} |"
    )
    assert row in figures_table(SHIPPED)
    error = f"{metrics.expected_calibration_error:.1%}"
    assert f"| urban-sound | hann | {error} |" in calibration_table(SHIPPED)
    siren = f"{scores.recall['siren']:.0%}"
    assert f" {siren} |" in recall_table(SHIPPED)
