"""The tables of README.md and docs/models.md, from the cards of a store."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from app.checkpoints import store
from app.checkpoints.card import Card, Metrics, Scores


def figures_table(root: Path) -> str:
    """A Markdown table of every checkpoint's figures, a row for each held-out corpus.

    Raises CheckpointError when a checkpoint is damaged.
    """
    cards = [store.load(root, task, window).card for task, window in store.present(root)]
    heading = ("task", "window", "held out", "clips", "groups", "accuracy", "UAR", "macro F1")
    rows = [row for card in cards for row in _figures(card)]
    return markdown(heading, rows)


def calibration_table(root: Path) -> str:
    """A Markdown table of calibration and of what quantisation cost each checkpoint.

    Raises CheckpointError when a checkpoint is damaged.
    """
    cards = [store.load(root, task, window).card for task, window in store.present(root)]
    heading = ("task", "window", "ECE", "temperature", "accuracy fp32", "int8")
    rows = [
        (
            card.task,
            card.front_end.window,
            f"{card.metrics.expected_calibration_error:.1%}",
            f"{card.temperature:.2f}",
            "" if card.metrics.accuracy_fp32 is None else f"{card.metrics.accuracy_fp32:.1%}",
            f"{card.metrics.overall.accuracy:.1%}",
        )
        for card in cards
        if card.metrics is not None
    ]
    return markdown(heading, rows)


def recall_table(root: Path) -> str:
    """A Markdown table of the recall of each label, a row for each checkpoint and corpus.

    Raises CheckpointError when a checkpoint is damaged.
    """
    cards = [store.load(root, task, window).card for task, window in store.present(root)]
    tables = []
    for task in dict.fromkeys(card.task for card in cards):
        of_task = [card for card in cards if card.task == task and card.metrics is not None]
        rows = [
            (card.front_end.window, corpus, *_recalls(scores, card.labels))
            for card in of_task
            if card.metrics is not None
            for corpus, scores in card.metrics.by_corpus.items()
        ]
        tables.append(markdown(("window", "corpus", *of_task[0].labels), rows))
    return "\n".join(tables)


def _figures(card: Card) -> Iterator[tuple[str, ...]]:
    if card.metrics is None:
        return
    for metrics in (card.metrics, *card.sibling_metrics):
        yield from _rows(card, metrics)


def _rows(card: Card, metrics: Metrics) -> Iterator[tuple[str, ...]]:
    for corpus, scores in metrics.by_corpus.items():
        what = f"{corpus}: {', '.join(metrics.held_out.get(corpus, ()))}"
        yield (card.task, card.front_end.window, what, *_values(scores))
    if len(metrics.by_corpus) > 1:
        yield (card.task, card.front_end.window, "all of these", *_values(metrics.overall))


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
