"""Corpora that come with a table of their recordings, and one loader for all of them."""

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from training.corpora.labeled_recording import Corpus, CorpusError, LabeledRecording
from training.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class TableCorpus(Corpus):
    """A corpus whose labels and groups stand in a table with a header."""

    label: str
    """column of the label"""
    group: str
    """column of the speaker or source; a number is an id of Freesound, which corpora share"""
    fold: str
    """column of the fold, or of the group where there are no folds"""
    table: str = "meta.csv"
    """path of the table below the folder"""
    audio: str = "audio"
    """path of the recordings below the folder"""
    file: str = "{filename}"
    """path of one recording below `audio`, columns in braces"""
    labels: Mapping[str, str] | None = None
    """value in the table -> label; None: every value is a label"""
    delimiter: str = ","

    def load(self, root: Path) -> list[LabeledRecording]:
        """Read the table in `root`; raise CorpusError as `read_table` does."""
        return self.read_table(root / self.table, root / self.audio)

    def read_table(
        self, table: Path, audio: Path, *, folds: Collection[str] | None = None
    ) -> list[LabeledRecording]:
        """Read the rows of `table`, in its order.

        Args:
            table: as the corpus' own.
            audio: the folder of its recordings.
            folds: other rows are passed over, and their files need not exist; None: all rows.

        Raises:
            CorpusError: the table is missing or lacks a column, a row lacks a value or has an
                unknown label, or a file does not exist.
        """
        in_path = [name for _, name, _, _ in Formatter().parse(self.file) if name]
        columns = tuple(dict.fromkeys((*in_path, self.label, self.group, self.fold)))
        recordings = []
        for line, row in _read_rows(table, columns, self.delimiter):
            if folds is not None and row[self.fold] not in folds:
                continue
            path = _in_any_case(audio / self.file.format_map(row))
            label = row[self.label] if self.labels is None else self.labels.get(row[self.label])
            if label is None:
                raise CorpusError(
                    f"{table}, line {line}: unknown {self.label} {row[self.label]!r}; "
                    f"known: {', '.join(self.labels or ())}"
                )
            if not path.is_file():
                raise CorpusError(f"{table}, line {line}: {path} does not exist")
            recordings.append(
                LabeledRecording(path, label, self.name, self._group(row), row[self.fold])
            )
        return recordings

    def _group(self, row: Mapping[str, str]) -> str:
        group = row[self.group]
        if group.isdecimal():
            return f"freesound:{group}"
        return group if ":" in group else f"{self.name}:{group}"


def _read_rows(
    path: Path, columns: tuple[str, ...], delimiter: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a table; raise CorpusError where it is not as expected."""
    if not path.is_file():
        raise CorpusError(f"{path}: not found")
    with io.StringIO(_read_text(path), newline="") as file:
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


def _read_text(path: Path) -> str:
    """Return the text of a table; raise CorpusError where it is not in UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            found = "it is in UTF-16"
        else:
            line = content.count(b"\n", 0, error.start) + 1
            found = f"the byte 0x{content[error.start]:02x} in line {line} is not, as in cp1252"
        raise CorpusError(f"{path}: a table has to be in UTF-8; {found}") from None


def _in_any_case(path: Path) -> Path:
    """Return a file as it is called: some systems change the suffix into upper case."""
    others = (path.with_suffix(change(path.suffix)) for change in (str.lower, str.upper))
    return next((found for found in (path, *others) if found.is_file()), path)


URBANSOUND8K = TableCorpus(
    name="urbansound8k",
    folder="UrbanSound8K",
    licence="CC BY-NC 3.0",
    citation="Salamon, Jacoby and Bello, ACM Multimedia 2014",
    table="metadata/UrbanSound8K.csv",
    file="fold{fold}/{slice_file_name}",
    label="class",
    group="fsID",
    fold="fold",
    labels={label: label for label in TASKS["urban-sound"].labels},
)

TABLE_CORPORA = (
    URBANSOUND8K,
    TableCorpus(
        name="esc50",
        folder="ESC-50-master",
        licence="CC BY-NC 3.0",
        citation="Piczak, ACM Multimedia 2015",
        table="meta/esc50.csv",
        label="category",
        group="src_file",
        fold="fold",
    ),
    TableCorpus(
        name="nemo",
        folder="nEMO",
        licence="CC BY-NC-SA 4.0",
        citation="Christop, LREC-COLING 2024; acted, Polish",
        table="data.tsv",
        delimiter="\t",
        audio="samples",
        file="{file_id}",
        label="emotion",
        group="speaker_id",
        fold="speaker_id",
        labels={
            "anger": "angry",
            "fear": "fearful",
            "happiness": "happy",
            "neutral": "neutral",
            "sadness": "sad",
            "surprised": "surprised",
        },
    ),
    # Each recording has several weak labels, joined by `+`.
    TableCorpus(
        name="sonyc",
        folder="SONYC-UST",
        licence="CC BY 4.0",
        citation="Cartwright et al., DCASE 2019; sensors on streets of New York",
        label="tags",
        group="group",
        fold="group",
    ),
    TableCorpus(
        name="kitchen20",
        folder="kitchen20",
        licence="Apache 2.0",
        citation="Moreaux et al., CBMI 2019; sounds of a kitchen",
        label="tags",
        group="group",
        fold="group",
    ),
    TableCorpus(
        name="household",
        folder="household",
        licence="own recordings and CC0",
        citation="household noise: air conditioners, dishwashers, vacuum cleaners, streets",
        label="tags",
        group="group",
        fold="group",
    ),
)
