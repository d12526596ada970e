"""URDU emotional speech: Latif et al., FIT 2018. From talk shows, not acted. Research only."""

from pathlib import Path

from training.corpora.clip import Clip, CorpusError, require_files

FOLDER = "URDU"
LICENCE = "research only"
_EMOTIONS = {"angry": "angry", "happy": "happy", "neutral": "neutral", "sad": "sad"}


def load(root: Path) -> list[Clip]:
    """Read `Emotion/SPEAKER_*.wav` below `root`; speakers are `SM1`, `SF2` and so on."""
    clips = []
    for path in require_files(root, "*/*.wav", "recordings"):
        emotion = path.parent.name.lower()
        if emotion not in _EMOTIONS:
            raise CorpusError(f"{path.parent}: no known emotion; known: {', '.join(_EMOTIONS)}")
        speaker = path.stem.split("_")[0]
        clips.append(
            Clip(
                path=path,
                label=_EMOTIONS[emotion],
                corpus="urdu",
                group=f"urdu:{speaker}",
                fold=speaker,
            )
        )
    return clips
