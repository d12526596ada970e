"""Results as text: a table to read, JSON or CSV to work on."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from earshot.schemas import Classification

_CSV_COLUMNS = ("file", "label", "probability", "ranked", "reason", "error")


@dataclass(frozen=True)
class Success:
    """The classification of a file."""

    file: str
    classification: Classification


@dataclass(frozen=True)
class Failure:
    """Why a file cannot be classified."""

    file: str
    error: str


Result = Success | Failure


def format_table(results: Iterable[Result]) -> Iterator[str]:
    """Yield columns of text, one line for each success; nothing for a failure."""
    rows = [("file", "label", "probability", "other labels")]
    for result in results:
        if isinstance(result, Success):
            answer = result.classification
            label = answer.label or f"none: {answer.reason}"
            others = [entry for entry in answer.ranked if entry.label != answer.label]
            also = ", ".join(f"{other.label} {other.probability:.1%}" for other in others)
            rows.append((result.file, label, f"{answer.probability:.1%}", also))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip() + "\n"


def format_json(results: Iterable[Result]) -> Iterator[str]:
    """Yield an array: for each file an object with `file` and the API's answer, or `error`."""
    separator = "[\n"
    for result in results:
        if isinstance(result, Success):
            content = result.classification.model_dump(mode="json", exclude_defaults=True)
        else:
            content = {"error": result.error}
        yield separator + json.dumps({"file": result.file, **content})
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def format_csv(results: Iterable[Result]) -> Iterator[str]:
    """Yield a row for each file; `ranked` holds `label=probability`, separated by spaces."""
    yield _csv_line(_CSV_COLUMNS)
    for result in results:
        if isinstance(result, Success):
            answer = result.classification
            ranked = " ".join(f"{entry.label}={entry.probability:g}" for entry in answer.ranked)
            cells = (answer.label, answer.probability, ranked, answer.reason, None)
            yield _csv_line((result.file, *cells))
        else:
            yield _csv_line((result.file, None, None, None, None, result.error))


Format = Callable[[Iterable[Result]], Iterator[str]]
FORMATS: dict[str, Format] = {"table": format_table, "json": format_json, "csv": format_csv}


def _csv_line(cells: Iterable[str | float | None]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
