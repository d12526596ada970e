"""Results as text: a table to read, JSON or CSV to work on, labels for Audacity and Raven."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from earshot.schemas import Classification, Segment

_CSV_COLUMNS = ("file", "label", "probability", "ranked", "reason", "error")
_TIMELINE_COLUMNS = ("file", "start", "end", "label", "probability", "reason", "error")
_RAVEN_COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"),
    *("Low Freq (Hz)", "High Freq (Hz)", "Begin File", "Label", "Probability"),
)


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
    is_of_service: bool = False
    """whether the service, or what was asked of it, is wrong, and not the file"""


Result = Success | Failure


def format_table(results: Iterable[Result]) -> Iterator[str]:
    """Yield columns of text, one line for each success; nothing for a failure."""
    rows = []
    for result in results:
        if isinstance(result, Success):
            answer = result.classification
            others = [entry for entry in answer.ranked if entry.label != answer.label]
            also = ", ".join(f"{other.label} {other.probability:.1%}" for other in others)
            rows.append((result.file, _shown_label(answer), f"{answer.probability:.1%}", also))
    yield from _columns([("file", "label", "probability", "other labels"), *rows])


def format_timeline(results: Iterable[Result]) -> Iterator[str]:
    """Yield columns of text, one line for each segment; nothing for a failure."""
    rows = [
        (file, *map(_clock, (each.start, each.end)), _shown_label(each), f"{each.probability:.1%}")
        for file, each in _segments(results)
    ]
    yield from _columns([("file", "start", "end", "label", "probability"), *rows])


def format_timeline_csv(results: Iterable[Result]) -> Iterator[str]:
    """Yield a row for each segment, with its times in seconds, and for each failure."""
    yield _csv_line(_TIMELINE_COLUMNS)
    for result in results:
        for file, each in _segments([result]):
            cells = (each.start, each.end, each.label, each.probability, each.reason, None)
            yield _csv_line((file, *cells))
        if isinstance(result, Failure):
            yield _csv_line((result.file, *[None] * 5, result.error))


def format_audacity(results: Iterable[Result]) -> Iterator[str]:
    """Yield a line of a label track for each segment with a label: start, end and label."""
    for _, each in _segments(results):
        if each.label is not None:
            yield f"{each.start:.6f}\t{each.end:.6f}\t{each.label}\n"


def format_raven(results: Iterable[Result]) -> Iterator[str]:
    """Yield a selection table of Raven's: a row for each segment with a label, of all bands."""
    yield "\t".join(_RAVEN_COLUMNS) + "\n"
    number = 0
    for result in results:
        for file, each in _segments([result]):
            if each.label is None or not isinstance(result, Success):
                continue
            number += 1
            highest = result.classification.audio.sample_rate / 2
            cells = (number, "Spectrogram 1", 1, each.start, each.end, 0, highest)
            yield "\t".join(map(str, (*cells, file, each.label, each.probability))) + "\n"


def _segments(results: Iterable[Result]) -> Iterator[tuple[str, Segment]]:
    """Yield each segment with its file; a recording of one clip is one segment."""
    for result in results:
        if isinstance(result, Success):
            answer = result.classification
            whole = Segment(
                start=0.0,
                end=answer.audio.seconds,
                label=answer.label,
                reason=answer.reason,
                probability=answer.probability,
            )
            for segment in answer.segments or [whole]:
                yield result.file, segment


def _shown_label(answer: Classification | Segment) -> str:
    return answer.label or f"none: {answer.reason}"


def _clock(seconds: float) -> str:
    """Return a time as people read it, such as 0:59:59.5."""
    tenths = round(10 * seconds)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    return f"{hours}:{minutes:02}:{rest // 10:02}.{rest % 10}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
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
FORMATS: dict[str, Format] = {
    "table": format_table,
    "json": format_json,
    "csv": format_csv,
    "audacity": format_audacity,
    "raven": format_raven,
}
TIMELINE_FORMATS: dict[str, Format] = FORMATS | {
    "table": format_timeline,
    "csv": format_timeline_csv,
}
"""those of a row for each segment; JSON always has the segments"""


def _csv_line(cells: Iterable[str | float | None]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
