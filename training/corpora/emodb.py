"""EmoDB (Berlin): Burkhardt et al., Interspeech 2005. Free for research."""

from pathlib import Path

from training.corpora.clip import Clip, CorpusError, require_files

FOLDER = "EmoDB"
LICENCE = "free for research"
_EMOTIONS = {
    "W": "angry",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
_BOREDOM = "L"


def load(root: Path) -> list[Clip]:
    """Read `wav/SSTTTEv.wav` below `root`: SS speaker, E emotion. Boredom is left out."""
    clips = []
    for path in require_files(root, "wav/*.wav", "recordings"):
        speaker, letter = path.stem[:2], path.stem[5:6]
        if letter == _BOREDOM:
            continue
        if letter not in _EMOTIONS:
            raise CorpusError(
                f"{path}: sixth letter {letter!r} is no emotion; known: {', '.join(_EMOTIONS)}"
            )
        clips.append(
            Clip(
                path=path,
                label=_EMOTIONS[letter],
                corpus="emodb",
                group=f"emodb:{speaker}",
                fold=speaker,
            )
        )
    return clips
