"""RAVDESS speech: Livingstone and Russo, PLoS ONE 13(5), 2018. CC BY-NC-SA 4.0."""

from pathlib import Path

from training.corpora.clip import Clip, CorpusError, require_files

FOLDER = "RAVDESS"
LICENCE = "CC BY-NC-SA 4.0"
EMOTIONS = {
    "01": "neutral",
    "02": "neutral",  # calm
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}


def load(root: Path) -> list[Clip]:
    """Read `Actor_*/MM-VC-EE-II-SS-RR-AA.wav` below `root`: EE is the emotion, AA the actor."""
    clips = []
    for path in require_files(root, "Actor_*/*.wav", "recordings"):
        fields = path.stem.split("-")
        if len(fields) != 7 or fields[2] not in EMOTIONS:
            raise CorpusError(
                f"{path}: expected a name like 03-01-05-01-02-01-12.wav, emotion 01 to 08"
            )
        actor = fields[6]
        clips.append(
            Clip(
                path=path,
                label=EMOTIONS[fields[2]],
                corpus="ravdess",
                group=f"ravdess:{actor}",
                fold=actor,
            )
        )
    return clips
