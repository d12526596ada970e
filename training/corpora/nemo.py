"""nEMO (Polish): Christop, LREC-COLING 2024. CC BY-NC-SA 4.0."""

from pathlib import Path

from training.corpora.clip import Clip, CorpusError
from training.corpora.tables import existing, read_rows

FOLDER = "nEMO"
LICENCE = "CC BY-NC-SA 4.0"
_EMOTIONS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}


def load(root: Path) -> list[Clip]:
    """Read `data.tsv` and `samples/` below `root`."""
    table = root / "data.tsv"
    clips = []
    for line, row in read_rows(table, ("file_id", "emotion", "speaker_id"), delimiter="\t"):
        if row["emotion"] not in _EMOTIONS:
            raise CorpusError(
                f"{table}, line {line}: unknown emotion {row['emotion']!r}; "
                f"known: {', '.join(_EMOTIONS)}"
            )
        clips.append(
            Clip(
                path=existing(root / "samples" / row["file_id"], table, line),
                label=_EMOTIONS[row["emotion"]],
                corpus="nemo",
                group=f"nemo:{row['speaker_id']}",
                fold=row["speaker_id"],
            )
        )
    return clips
