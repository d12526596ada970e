"""Markdown tables of the metrics in the cards of a store, as in README.md and docs/models.md."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from app.checkpoints import store
from app.checkpoints.card import Card
from earshot.schemas import Metrics, Scores

MeasuredCard = tuple[Card, Metrics]


def measured_cards(root: Path) -> list[MeasuredCard]:
    """Return the cards of a store that `earshot evaluate` has filled in, with their metrics.

    Raises CheckpointError when a checkpoint is damaged.
    """
    cards = [store.load(root, key).card for key in store.list_checkpoints(root)]
    return [(card, card.metrics) for card in cards if card.metrics is not None]


def scores_table(cards: Sequence[MeasuredCard]) -> str:
    """Return a table of every checkpoint's figures, a row for each held-out corpus."""
    heading = ("task", "checkpoint", "held out", "clips", "groups", "accuracy", "UAR", "macro F1")
    rows = [
        row
        for card, metrics in cards
        for measured in (metrics, *card.sibling_metrics)
        for row in _rows(card, measured)
    ]
    return markdown_table(heading, rows)


def calibration_table(cards: Sequence[MeasuredCard]) -> str:
    """Return a table of calibration and of accuracy before and after quantisation."""
    heading = ("task", "checkpoint", "ECE", "temperature", "accuracy fp32", "int8")
    rows = [
        (
            card.task,
            card.name,
            f"{metrics.expected_calibration_error:.1%}",
            f"{card.temperature:.2f}",
            "" if metrics.accuracy_fp32 is None else f"{metrics.accuracy_fp32:.1%}",
            f"{metrics.overall.accuracy:.1%}",
        )
        for card, metrics in cards
    ]
    return markdown_table(heading, rows)


def recall_table(cards: Sequence[MeasuredCard]) -> str:
    """Return a table of the recall of each label, a row for each checkpoint and corpus."""
    tables = []
    for labels in dict.fromkeys(card.labels for card, _ in cards):
        rows = [
            (card.name, corpus, *_recalls(scores, labels))
            for card, metrics in cards
            if card.labels == labels
            for corpus, scores in metrics.by_corpus.items()
        ]
        tables.append(markdown_table(("checkpoint", "corpus", *labels), rows))
    return "\n".join(tables)


def ood_table(cards: Sequence[MeasuredCard]) -> str:
    """Return a table of the out-of-distribution sounds that each checkpoint rejects."""
    heading = ("task", "checkpoint", "other sounds", "clips", "AUROC", "rejected", "coverage")
    rows = [
        (
            card.task,
            card.name,
            source,
            str(scores.clips),
            f"{scores.auroc:.3f}",
            f"{scores.rejection_rate:.1%}",
            f"{metrics.ood.coverage:.1%}",
        )
        for card, metrics in cards
        if metrics.ood is not None
        for source, scores in metrics.ood.by_source.items()
    ]
    return markdown_table(heading, rows)


def _rows(card: Card, metrics: Metrics) -> Iterator[tuple[str, ...]]:
    for corpus, scores in metrics.by_corpus.items():
        held_out = f"{corpus}: {', '.join(metrics.held_out.get(corpus, ()))}"
        yield (card.task, card.name, held_out, *_values(scores))
    if len(metrics.by_corpus) > 1:
        yield (card.task, card.name, "all of these", *_values(metrics.overall))


def _values(scores: Scores) -> tuple[str, ...]:
    fractions = (scores.accuracy, scores.uar, scores.macro_f1)
    return (str(scores.clips), str(scores.groups), *(f"{fraction:.1%}" for fraction in fractions))


def _recalls(scores: Scores, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{scores.recall[label]:.0%}" if label in scores.recall else "" for label in labels
    )


def markdown_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


TABLES = (scores_table, calibration_table, ood_table, recall_table)
"""all that a card has tables of, as `earshot tables` prints them"""
