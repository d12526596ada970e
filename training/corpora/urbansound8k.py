"""UrbanSound8K: Salamon, Jacoby and Bello, ACM Multimedia 2014. CC BY-NC 3.0."""

from collections.abc import Collection
from pathlib import Path

from training.tasks import LABELS
from training.corpora.clip import Clip, CorpusError
from training.corpora.tables import existing, read_rows

FOLDER = "UrbanSound8K"
LICENCE = "CC BY-NC 3.0"
_COLUMNS = ("slice_file_name", "fsID", "fold", "class")


def load(root: Path) -> list[Clip]:
    """Read `metadata/UrbanSound8K.csv` and `audio/fold*/` below `root`."""
    return read_table(root / "metadata" / "UrbanSound8K.csv", root / "audio")


def read_table(table: Path, audio: Path, *, folds: Collection[str] | None = None) -> list[Clip]:
    """Read the rows of `table`, in its order; their files are in `fold*/` below `audio`.

    With `folds`, other rows are passed over and their files need not exist.

    Raises:
        CorpusError: the table cannot be read, or a row has an unknown class or a missing file.
    """
    clips = []
    for line, row in read_rows(table, _COLUMNS):
        if folds is not None and row["fold"] not in folds:
            continue
        if row["class"] not in LABELS["urban-sound"]:
            raise CorpusError(
                f"{table}, line {line}: unknown class {row['class']!r}; "
                f"known: {', '.join(LABELS['urban-sound'])}"
            )
        path = audio / f"fold{row['fold']}" / row["slice_file_name"]
        clips.append(
            Clip(
                path=existing(path, table, line),
                label=row["class"],
                corpus="urbansound8k",
                group=f"freesound:{row['fsID']}",
                fold=row["fold"],
            )
        )
    return clips
