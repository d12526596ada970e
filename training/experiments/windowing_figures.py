"""The figures of the windowing experiment."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.experiments.statistics import mean_interval

_DPI = 120


def draw_scores(
    by_window: Mapping[str, tuple[Sequence[float], Sequence[float]]], path: Path
) -> Path:
    """Draw accuracy and macro F1 of each seed (dots) with means and 95 % intervals (bars).

    Args:
        by_window: window -> accuracies and macro F1 values, 0 to 1, one for each seed.
        path: the PNG to write, which is returned.
    """
    figure = Figure(figsize=(8, 3.6), dpi=_DPI, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (axes, title) in enumerate(zip(panels, ("accuracy", "macro F1"), strict=True)):
        for place, values in enumerate(by_window.values()):
            interval = mean_interval(values[panel])
            axes.errorbar(
                place,
                100 * interval.mean,
                yerr=100 * (interval.high - interval.mean),
                fmt="_",
                markersize=18,
                capsize=6,
                color="C0",
            )
            axes.scatter(
                np.full(len(values[panel]), place),
                100 * np.array(values[panel]),
                color="black",
                s=14,
                zorder=3,
            )
        axes.set_xticks(range(len(by_window)), list(by_window))
        axes.set_xlim(-0.5, len(by_window) - 0.5)
        axes.set(title=title)
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("% (dots: seeds; bars: mean and 95 % interval)")
    return _save(figure, path)


def draw_recalls(
    by_window: Mapping[str, Sequence[float]], labels: Sequence[str], path: Path
) -> Path:
    """Draw the recall of each label, a bar for each window.

    Args:
        by_window: window -> recalls, 0 to 1, in the order of `labels`.
        labels: below the bars.
        path: the PNG to write, which is returned.
    """
    figure = Figure(figsize=(10, 4), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(by_window)
    for number, (window, recalls) in enumerate(by_window.items()):
        offset = (number - (len(by_window) - 1) / 2) * width
        places = np.arange(len(labels)) + offset
        axes.bar(places, 100 * np.asarray(recalls), width, label=window)
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.set(ylabel="recall (%), mean over seeds", ylim=(0, 100))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(by_window))
    return _save(figure, path)


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(path)
    return path
