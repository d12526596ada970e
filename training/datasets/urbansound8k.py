"""UrbanSound8K: Salamon, Jacoby and Bello, ACM Multimedia 2014. CC BY-NC 3.0."""

from pathlib import Path

from app.checkpoints.labels import LABELS
from training.datasets.clip import Clip, CorpusError
from training.datasets.tables import existing, read_rows

FOLDER = "UrbanSound8K"
LICENCE = "CC BY-NC 3.0"
_COLUMNS = ("slice_file_name", "fsID", "fold", "class")


def load(root: Path) -> list[Clip]:
    """Read `metadata/UrbanSound8K.csv` and `audio/fold*/` below `root`."""
    table = root / "metadata" / "UrbanSound8K.csv"
    clips = []
    for line, row in read_rows(table, _COLUMNS):
        if row["class"] not in LABELS["urban-sound"]:
            raise CorpusError(
                f"{table}, line {line}: unknown class {row['class']!r}; "
                f"known: {', '.join(LABELS['urban-sound'])}"
            )
        path = root / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
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
