"""The tables of README.md and docs/models.md, from the cards of a store."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from app.checkpoints import store
from app.checkpoints.card import Card
from earshot.schemas import Metrics, Scores

MeasuredCard = tuple[Card, Metrics]


def measured_cards(root: Path) -> list[MeasuredCard]:
    """The cards of a store that `earshot evaluate` has filled in, with their metrics.

    Raises CheckpointError when a checkpoint is damaged.
    """
    cards = [store.load(root, task, window).card for task, window in store.present(root)]
    return [(card, card.metrics) for card in cards if card.metrics is not None]


def figures_table(cards: Sequence[MeasuredCard]) -> str:
    """A Markdown table of every checkpoint's figures, a row for each held-out corpus."""
    heading = ("task", "window", "held out", "clips", "groups", "accuracy", "UAR", "macro F1")
    rows = [
        row
        for card, metrics in cards
        for measured in (metrics, *card.sibling_metrics)
        for row in _rows(card, measured)
    ]
    return markdown(heading, rows)


def calibration_table(cards: Sequence[MeasuredCard]) -> str:
    """A Markdown table of calibration and of what quantisation cost each checkpoint."""
    heading = ("task", "window", "ECE", "temperature", "accuracy fp32", "int8")
    rows = [
        (
            card.task,
            card.input.window,
            f"{metrics.expected_calibration_error:.1%}",
            f"{card.temperature:.2f}",
            "" if metrics.accuracy_fp32 is None else f"{metrics.accuracy_fp32:.1%}",
            f"{metrics.overall.accuracy:.1%}",
        )
        for card, metrics in cards
    ]
    return markdown(heading, rows)


def recall_table(cards: Sequence[MeasuredCard]) -> str:
    """A Markdown table of the recall of each label, a row for each checkpoint and corpus."""
    tables = []
    for labels in dict.fromkeys(card.labels for card, _ in cards):
        rows = [
            (card.input.window, corpus, *_recalls(scores, labels))
            for card, metrics in cards
            if card.labels == labels
            for corpus, scores in metrics.by_corpus.items()
        ]
        tables.append(markdown(("window", "corpus", *labels), rows))
    return "\n".join(tables)


def familiarity_table(cards: Sequence[MeasuredCard]) -> str:
    """A Markdown table of what each checkpoint refuses to name."""
    heading = ("task", "window", "foreign sounds", "clips", "AUROC", "refused", "known, answered")
    rows = [
        (
            card.task,
            card.input.window,
            kind,
            str(foreign.clips),
            f"{foreign.auroc:.3f}",
            f"{foreign.refused:.1%}",
            f"{metrics.ood.answered:.1%}",
        )
        for card, metrics in cards
        if metrics.ood is not None
        for kind, foreign in metrics.ood.foreign.items()
    ]
    return markdown(heading, rows)


def _rows(card: Card, metrics: Metrics) -> Iterator[tuple[str, ...]]:
    for corpus, scores in metrics.by_corpus.items():
        what = f"{corpus}: {', '.join(metrics.held_out.get(corpus, ()))}"
        yield (card.task, card.input.window, what, *_values(scores))
    if len(metrics.by_corpus) > 1:
        yield (card.task, card.input.window, "all of these", *_values(metrics.overall))


def _values(scores: Scores) -> tuple[str, ...]:
    shares = (scores.accuracy, scores.uar, scores.macro_f1)
    return (str(scores.clips), str(scores.groups), *(f"{share:.1%}" for share in shares))


def _recalls(scores: Scores, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{scores.recall[label]:.0%}" if label in scores.recall else "" for label in labels
    )


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
