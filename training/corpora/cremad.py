"""CREMA-D: Cao et al., IEEE Transactions on Affective Computing 5(4), 2014. ODbL 1.0."""

from pathlib import Path

from training.corpora.clip import Clip, CorpusError, require_files

FOLDER = "CREMA-D"
LICENCE = "Open Database License (ODbL) 1.0"
_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}


def load(root: Path) -> list[Clip]:
    """Read `AudioWAV/ACTOR_SENTENCE_EMOTION_LEVEL.wav` below `root`; actors are 1001 to 1091.

    The level is not read: the official download has one of a single letter
    (`1040_ITH_SAD_X.wav`) among those of two.
    """
    clips = []
    for path in require_files(root, "AudioWAV/*.wav", "recordings"):
        fields = path.stem.split("_")
        if len(fields) != 4 or not fields[0].isdecimal() or fields[2] not in _EMOTIONS:
            raise CorpusError(
                f"{path}: expected a name like 1001_DFA_ANG_XX.wav, emotion {', '.join(_EMOTIONS)}"
            )
        actor = fields[0]
        clips.append(
            Clip(
                path=path,
                label=_EMOTIONS[fields[2]],
                corpus="cremad",
                group=f"cremad:{actor}",
                fold=actor,
            )
        )
    return clips
