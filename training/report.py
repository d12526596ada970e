"""What an evaluation leaves in its output folder: tables as JSON and CSV, and figures."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.evaluate import Answers, Measurement

_DPI = 120


def write_report(measurement: Measurement, folder: Path) -> None:
    """Write metrics, every answer and the confusion matrices into `folder`.

    `metrics.json` holds what the card holds, `answers.csv` each recording's true and answered
    label, the least expected wrong answers first, and `confusion.png` one matrix for each corpus.

    Raises OSError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = measurement.metrics.model_dump(mode="json")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    _write_answers(measurement.answers, folder / "answers.csv")
    parts = measurement.metrics.by_corpus
    titles = {
        f"{name}: UAR {s.uar:.1%}, accuracy {s.accuracy:.1%}": s.confusion
        for name, s in parts.items()
    }
    draw_confusions(titles, measurement.answers.labels, folder / "confusion.png", columns=2)


def _write_answers(answers: Answers, path: Path) -> None:
    given = answers.probabilities.argmax(axis=1)
    of_truth = answers.probabilities[np.arange(len(given)), answers.truth]
    order = np.argsort(of_truth, kind="stable")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "group", "label", "answer", "probability", "of_true_label"))
        for i in order:
            clip, answer = answers.clips[i], given[i]
            writer.writerow(
                (
                    clip.path,
                    clip.group,
                    clip.label,
                    answers.labels[answer],
                    f"{answers.probabilities[i, answer]:.4f}",
                    f"{of_truth[i]:.4f}",
                )
            )


def draw_confusions(
    parts: Mapping[str, Sequence[Sequence[int]]], labels: Sequence[str], path: Path, *, columns: int
) -> None:
    """Draw confusion matrices side by side, rows true and columns answered labels.

    Args:
        parts: title -> counts, [true label][answered label], in the order of `labels`.
        labels: of rows and columns.
        path: the PNG to write.
        columns: matrices in a row, at most.
    """
    columns = min(columns, len(parts))
    rows = -(-len(parts) // columns)
    figure = Figure(figsize=(6.4 * columns, 5.6 * rows), dpi=_DPI, layout="constrained")
    for place, (title, counts) in enumerate(parts.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        _draw_matrix(axes, np.array(counts), labels, title)
    FigureCanvasAgg(figure)
    figure.savefig(path)


def _draw_matrix(axes: Axes, counts: NDArray[np.int_], labels: Sequence[str], title: str) -> None:
    """Draw one confusion matrix: counts as numbers, each row's shares as shades."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(title=title, xlabel="answered", ylabel="true")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.5 else "black",
            fontsize=8,
        )
