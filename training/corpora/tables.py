"""Reading a corpus' own table, with errors that name the file and the row."""

import csv
from collections.abc import Iterator
from pathlib import Path

from training.corpora.clip import CorpusError


def read_rows(
    path: Path, columns: tuple[str, ...], *, delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a table with a header.

    Raises CorpusError when the file is missing, lacks one of `columns`, or a row is short.
    """
    if not path.is_file():
        raise CorpusError(f"{path}: not found")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise CorpusError(
                f"{path}: missing column {', '.join(missing)}; it has {reader.fieldnames}"
            )
        for row in reader:
            values = {column: (row[column] or "").strip() for column in columns}
            empty = [column for column, value in values.items() if not value]
            if empty:
                raise CorpusError(f"{path}, line {reader.line_num}: no value for {empty[0]}")
            yield reader.line_num, values


def existing(path: Path, table: Path, line: int) -> Path:
    """Return `path` if it is a file; raise CorpusError naming the table's line otherwise."""
    if not path.is_file():
        raise CorpusError(f"{table}, line {line}: {path} does not exist")
    return path
