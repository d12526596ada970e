"""Answers as text: a table to read, JSON or CSV to work on."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from earshot.schemas import Classification

_CSV_COLUMNS = ("file", "label", "probability", "ranked", "reason", "error")


@dataclass(frozen=True)
class Answered:
    """What is in a file."""

    file: str
    answer: Classification


@dataclass(frozen=True)
class Failed:
    """Why that cannot be said."""

    file: str
    error: str


Outcome = Answered | Failed


def as_table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Columns of text, one line for each answer; nothing for what failed."""
    rows = [("file", "label", "probability", "other labels")]
    for outcome in outcomes:
        if isinstance(outcome, Answered):
            answer = outcome.answer
            label = answer.label or f"none: {answer.reason}"
            others = [entry for entry in answer.ranked if entry.label != answer.label]
            also = ", ".join(f"{other.label} {other.probability:.1%}" for other in others)
            rows.append((outcome.file, label, f"{answer.probability:.1%}", also))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip() + "\n"


def as_json(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """An array: for each file the field `file` with the answer of the API, or with `error`."""
    separator = "[\n"
    for outcome in outcomes:
        if isinstance(outcome, Answered):
            content = outcome.answer.model_dump(mode="json", exclude_defaults=True)
        else:
            content = {"error": outcome.error}
        yield separator + json.dumps({"file": outcome.file, **content})
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def as_csv(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """A row for each file; `ranked` holds `label=probability`, separated by spaces."""
    yield _csv_line(_CSV_COLUMNS)
    for outcome in outcomes:
        if isinstance(outcome, Answered):
            answer = outcome.answer
            ranked = " ".join(f"{entry.label}={entry.probability:g}" for entry in answer.ranked)
            cells = (answer.label, answer.probability, ranked, answer.reason, None)
            yield _csv_line((outcome.file, *cells))
        else:
            yield _csv_line((outcome.file, None, None, None, None, outcome.error))


Format = Callable[[Iterable[Outcome]], Iterator[str]]
FORMATS: dict[str, Format] = {"table": as_table, "json": as_json, "csv": as_csv}


def _csv_line(cells: Iterable[str | float | None]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
