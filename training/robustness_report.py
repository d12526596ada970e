"""Tables in Markdown and figures of what `earshot evaluate` measured beyond held-out recordings."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from app.checkpoints.card import Card
from earshot.schemas import CorruptionScores, Estimate, GroupedScores, Metrics, Robustness
from training.card_tables import markdown_table
from training.corruptions import CORRUPTIONS, SEVERITIES
from training.ood_families import FAMILIES
from training.slices import ALL, worse_slices

_DPI = 120
_UNITS: Mapping[str, tuple[str, str, str]] = {
    "noise": ("20 dB", "10 dB", "0 dB"),
    "speech": ("20 dB", "10 dB", "0 dB"),
    "room": ("0.3 s", "0.7 s", "1.2 s"),
    "telephone": ("good line", "poor line", "hands-free"),
    "codec": ("16 / 32 kbit/s", "8 / 16", "6 / 8"),
    "clipping": ("5 %", "15 %", "30 %"),
    "gain": ("-20 dB", "-40 dB", "+20 dB"),
    "packet-loss": ("2 %", "10 %", "25 %"),
    "tempo": ("0.9", "1.1", "1.25"),
}
"""kind -> severities, for people"""


def robustness_report(cards: Sequence[Card]) -> str:
    """Return all tables that the cards have figures for, each with its heading, in Markdown."""
    measured = {f"{card.task}/{card.name}": card.metrics for card in cards if card.metrics}
    tables = {
        "Corruptions": corruption_table(
            {name: each.robustness for name, each in measured.items() if each.robustness}
        ),
        "Protocols": _protocol_table(measured),
        "Street tags": _tag_table(measured),
        "Slices": _slice_table(measured),
        "Families of other sounds": _family_table(measured),
    }
    return "\n".join(f"### {title}\n\n{table}" for title, table in tables.items() if table)


def corruption_table(robustness: Mapping[str, Robustness]) -> str:
    """Return a row for each corruption and checkpoint, then the summaries; empty without any."""
    heading = ("checkpoint", "corruption", "severity", "accuracy", "UAR", "ECE", "rejected")
    rows = [row for name, each in robustness.items() for row in _corruption_rows(name, each)]
    return markdown_table(heading, rows) if rows else ""


def _corruption_rows(name: str, robustness: Robustness) -> Iterator[tuple[str, ...]]:
    yield (name, "none", "", *_figures(robustness.clean))
    for kind, severities in robustness.by_kind.items():
        for unit, scores in zip(_UNITS[kind], severities, strict=True):
            yield (name, kind, unit, *_figures(scores))
    relative = (f"{robustness.relative_accuracy:.1%}", f"{robustness.relative_uar:.1%}")
    yield (name, "mean of all, relative to none", "", *relative, "", "")


def _figures(scores: CorruptionScores) -> tuple[str, ...]:
    fractions = (
        *(scores.accuracy, scores.uar),
        *(scores.expected_calibration_error, scores.rejection_rate),
    )
    return tuple(f"{fraction:.1%}" for fraction in fractions)


def _protocol_table(measured: Mapping[str, Metrics]) -> str:
    rows = [
        (name, protocol, part, *_grouped(scores))
        for name, metrics in measured.items()
        for protocol, parts in metrics.generalization.items()
        for part, scores in parts.items()
    ]
    heading = ("checkpoint", "protocol", "of", "recordings", "groups", "accuracy", "UAR")
    return markdown_table(heading, rows) if rows else ""


def _tag_table(measured: Mapping[str, Metrics]) -> str:
    rows = [
        (
            name,
            f"{tags.recordings}",
            f"{tags.groups}",
            _interval(tags.mean_average_precision),
            f"{tags.chance:.1%}",
            ", ".join(f"{tag} {value:.0%}" for tag, value in tags.average_precision.items()),
        )
        for name, metrics in measured.items()
        if (tags := metrics.street_tags) is not None
    ]
    heading = ("checkpoint", "recordings", "sensors", "mean average precision", "chance", "of each")
    return markdown_table(heading, rows) if rows else ""


def _slice_table(measured: Mapping[str, Metrics]) -> str:
    rows = []
    named = []
    for name, metrics in measured.items():
        worse = worse_slices(metrics.slices)
        named += [
            f"- {name}: {attribute} {value}: UAR "
            f"{_interval(metrics.slices[attribute][value].uar)} against "
            f"{metrics.slices[attribute][ALL].uar.value:.1%} of all\n"
            for attribute, value in worse
        ]
        for attribute, values in metrics.slices.items():
            for value, scores in values.items():
                mark = "worse" if (attribute, value) in worse else ""
                rows.append((name, attribute, value, *_grouped(scores), mark))
    if not rows:
        return ""
    heading = ("checkpoint", "slice", "value", "recordings", "groups", "accuracy", "UAR", "")
    listed = "".join(named) or "No slice is worse than all by more than its interval.\n"
    return (
        markdown_table(heading, rows) + "\nWorse than all by more than their interval:\n\n" + listed
        if named
        else markdown_table(heading, rows) + "\n" + listed
    )


def _family_table(measured: Mapping[str, Metrics]) -> str:
    rows = [
        (
            name,
            family,
            str(scores.clips),
            f"{scores.auroc:.3f}",
            f"{scores.rejection_rate_at_95:.1%}",
            f"{scores.rejection_rate_at_99:.1%}",
        )
        for name, metrics in measured.items()
        if metrics.ood is not None
        for family, scores in metrics.ood.by_family.items()
    ]
    heading = ("checkpoint", "family", "clips", "AUROC", "rejected at 95 %", "at 99 %")
    return markdown_table(heading, rows) if rows else ""


def _grouped(scores: GroupedScores) -> tuple[str, ...]:
    counts = (str(scores.recordings), str(scores.groups))
    return (*counts, _interval(scores.accuracy), _interval(scores.uar))


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def draw_robustness(cards: Sequence[Card], folder: Path) -> list[Path]:
    """Draw the figures that the cards have numbers for into `folder`; return their paths."""
    measured = {f"{card.task}/{card.name}": card.metrics for card in cards if card.metrics}
    robustness = {name: each.robustness for name, each in measured.items() if each.robustness}
    families = {
        name: {family: scores.auroc for family, scores in each.ood.by_family.items()}
        for name, each in measured.items()
        if each.ood is not None and each.ood.by_family
    }
    drawn = []
    if robustness:
        drawn.append(folder / "robustness.png")
        _draw_corruptions(robustness, drawn[-1])
    if families:
        drawn.append(folder / "ood.png")
        _draw_families(families, drawn[-1])
    return drawn


def _draw_corruptions(robustness: Mapping[str, Robustness], path: Path) -> None:
    """Draw a heat map for each checkpoint: UAR of each kind and severity, relative to clean."""
    columns = min(3, len(robustness))
    rows = -(-len(robustness) // columns)
    figure = Figure(figsize=(4.6 * columns, 5.4 * rows), dpi=_DPI, layout="constrained")
    for place, (name, each) in enumerate(robustness.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        relative = np.array(
            [
                [s.uar / max(each.clean.uar, 1e-4) for s in each.by_kind[kind]]
                for kind in CORRUPTIONS
            ]
        )
        texts = [
            [f"{s.uar:.0%}\nrej. {s.rejection_rate:.0%}" for s in each.by_kind[kind]]
            for kind in CORRUPTIONS
        ]
        _draw_heat_map(
            axes, relative, texts, CORRUPTIONS, [str(severity) for severity in SEVERITIES]
        )
        axes.set(
            title=f"{name}\nclean: UAR {each.clean.uar:.0%}, "
            f"rejected {each.clean.rejection_rate:.0%}\nmean: {each.relative_uar:.0%} of clean",
            xlabel="severity",
        )
    _save(figure, path)


def _draw_families(families: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw AUROC of each checkpoint and family."""
    values = np.array([[of.get(family, np.nan) for family in FAMILIES] for of in families.values()])
    texts = [["" if np.isnan(value) else f"{value:.3f}" for value in row] for row in values]
    figure = Figure(figsize=(6.4, 1.4 + 0.55 * len(families)), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    _draw_heat_map(axes, (values - 0.5) * 2, texts, list(families), FAMILIES)
    axes.set(title="AUROC: held-out recordings against other sounds")
    _save(figure, path)


def _draw_heat_map(
    axes: Axes,
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Draw `values` from 0 to 1 as colours with `texts` on them."""
    axes.imshow(values, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    for row, of_row in enumerate(texts):
        for column, text in enumerate(of_row):
            is_dark = abs(values[row, column] - 0.5) > 0.35
            colour = "white" if is_dark else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path)
