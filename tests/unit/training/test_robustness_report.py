"""The pages hold what `earshot robustness` prints of the shipped cards."""

from pathlib import Path

import pytest

from app.checkpoints.card import Card
from training.card_tables import measured_cards
from training.robustness_report import draw_robustness, robustness_report

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def shipped() -> list[Card]:
    return [card for card, _ in measured_cards(ROOT / "models_store")]


def test_the_page_holds_the_tables_of_the_cards(shipped: list[Card]) -> None:
    page = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
    assert robustness_report(shipped).strip() in page


def test_slices_that_are_worse_are_named_beside_the_scores(shipped: list[Card]) -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    report = robustness_report(shipped)
    named = [line for line in report.splitlines() if line.startswith("- ")]
    assert named
    for line in named:
        assert line in page


def test_every_command_of_a_figure_is_in_the_cards(shipped: list[Card]) -> None:
    for card in shipped:
        metrics = card.metrics
        assert metrics is not None
        measured = {
            field for field in ("robustness", "street_tags", "slices") if getattr(metrics, field)
        }
        measured |= {f"generalization.{protocol}" for protocol in metrics.generalization}
        if metrics.ood is not None and metrics.ood.by_family:
            measured.add("ood")
        assert set(metrics.commands) == measured


def test_both_pictures_are_drawn(shipped: list[Card], tmp_path: Path) -> None:
    drawn = draw_robustness(shipped, tmp_path)
    assert [path.name for path in drawn] == ["robustness.png", "ood.png"]
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
    assert not draw_robustness([], tmp_path)
