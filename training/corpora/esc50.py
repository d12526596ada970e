"""ESC-50: Piczak, ACM Multimedia 2015. CC BY-NC 3.0. For pretraining: no task's labels."""

from pathlib import Path

from training.corpora.clip import Clip
from training.corpora.tables import existing, read_rows

FOLDER = "ESC-50-master"
LICENCE = "CC BY-NC 3.0"


def load(root: Path) -> list[Clip]:
    """Read `meta/esc50.csv` and `audio/` below `root`. Labels are ESC-50's own fifty."""
    table = root / "meta" / "esc50.csv"
    return [
        Clip(
            path=existing(root / "audio" / row["filename"], table, line),
            label=row["category"],
            corpus="esc50",
            group=f"freesound:{row['src_file']}",
            fold=row["fold"],
        )
        for line, row in read_rows(table, ("filename", "fold", "category", "src_file"))
    ]
