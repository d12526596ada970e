"""The files of an evaluation: metrics as JSON, predictions as CSV, confusion as a figure."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.evaluate import Evaluation, Predictions

_DPI = 120


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write metrics, every prediction and the confusion matrices into `folder`.

    `metrics.json` holds what the card holds, `predictions.csv` each recording's true and
    predicted label, those first whose true label is least probable, and `confusion.png` one
    matrix for each corpus.

    Raises OSError when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = evaluation.metrics.model_dump(mode="json")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    _write_predictions(evaluation.predictions, folder / "predictions.csv")
    matrices = {
        f"{name}: UAR {s.uar:.1%}, accuracy {s.accuracy:.1%}": s.confusion
        for name, s in evaluation.metrics.by_corpus.items()
    }
    draw_confusions(matrices, evaluation.predictions.labels, folder / "confusion.png", columns=2)


def _write_predictions(predictions: Predictions, path: Path) -> None:
    labels, probabilities = predictions.labels, predictions.probabilities
    y_pred = probabilities.argmax(axis=1)
    of_true = probabilities[np.arange(len(y_pred)), predictions.y_true]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        columns = ("file", "group", "label", "predicted", "probability", "true_label_probability")
        writer.writerow(columns)
        for i in np.argsort(of_true, kind="stable"):
            recording, predicted = predictions.recordings[i], y_pred[i]
            figures = (f"{probabilities[i, predicted]:.4f}", f"{of_true[i]:.4f}")
            names = (recording.path, recording.group, recording.label, labels[predicted])
            writer.writerow((*names, *figures))


def draw_confusions(
    matrices: Mapping[str, Sequence[Sequence[int]]],
    labels: Sequence[str],
    path: Path,
    *,
    columns: int,
) -> None:
    """Draw confusion matrices side by side, rows true and columns predicted labels.

    Args:
        matrices: title -> counts, [true label][predicted label], in the order of `labels`.
        labels: of rows and columns.
        path: the PNG to write.
        columns: matrices in a row, at most.
    """
    columns = min(columns, len(matrices))
    rows = -(-len(matrices) // columns)
    figure = Figure(figsize=(6.4 * columns, 5.6 * rows), dpi=_DPI, layout="constrained")
    for place, (title, counts) in enumerate(matrices.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        _draw_matrix(axes, np.array(counts), labels, title)
    FigureCanvasAgg(figure)
    figure.savefig(path)


def _draw_matrix(axes: Axes, counts: NDArray[np.int_], labels: Sequence[str], title: str) -> None:
    """Draw one confusion matrix: counts as numbers, fractions of the row as shades."""
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            color="white" if fractions[row, column] > 0.5 else "black",
            fontsize=8,
        )
