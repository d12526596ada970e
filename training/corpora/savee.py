"""SAVEE (Surrey): Haq and Jackson, AVSP 2009. Free for research. Four men."""

import re
from pathlib import Path

from training.corpora.clip import Clip, CorpusError, require_files

FOLDER = "SAVEE"
LICENCE = "free for research"
_EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}
_NAME = re.compile(rf"(?:^|/)(DC|JE|JK|KL)[/_]({'|'.join(_EMOTIONS)})\d\d\.wav$")


def load(root: Path) -> list[Clip]:
    """Read `AudioData/SPEAKER/EMOTION01.wav` below `root`, or `SPEAKER_EMOTION01.wav` anywhere.

    The second is how copies of the corpus name the files in one folder.
    """
    clips = []
    for path in require_files(root, "**/[!.]*.wav", "recordings"):
        name = _NAME.search(path.relative_to(root).as_posix())
        if name is None:
            raise CorpusError(
                f"{path}: expected a name like DC/a01.wav or DC_a01.wav, "
                f"speaker DC, JE, JK, KL, emotion {', '.join(_EMOTIONS)}"
            )
        speaker, emotion = name.groups()
        clips.append(
            Clip(
                path=path,
                label=_EMOTIONS[emotion],
                corpus="savee",
                group=f"savee:{speaker}",
                fold=speaker,
            )
        )
    return clips
