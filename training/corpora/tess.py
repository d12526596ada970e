"""TESS (Toronto): Pichora-Fuller and Dupuis, 2020. CC BY-NC-ND 4.0. Two women."""

from pathlib import Path

from training.corpora.clip import Clip, CorpusError, require_files

FOLDER = "TESS"
LICENCE = "CC BY-NC-ND 4.0"
_EMOTIONS = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fear": "fearful",
    "disgust": "disgust",
    "ps": "surprised",  # pleasant surprise
    "pleasant_surprise": "surprised",
    "pleasant_surprised": "surprised",
}


def load(root: Path) -> list[Clip]:
    """Read `SPEAKER_emotion/*.wav` below `root`; official folders differ in case."""
    clips = []
    for path in require_files(root, "*/*.wav", "recordings"):
        speaker, _, emotion = path.parent.name.lower().partition("_")
        if emotion not in _EMOTIONS:
            raise CorpusError(f"{path.parent}: no known emotion; known: {', '.join(_EMOTIONS)}")
        clips.append(
            Clip(
                path=path,
                label=_EMOTIONS[emotion],
                corpus="tess",
                group=f"tess:{speaker}",
                fold=speaker,
            )
        )
    return clips
