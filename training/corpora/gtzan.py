"""GTZAN: Tzanetakis and Cook, IEEE Transactions on Speech and Audio Processing 10(5), 2002.

For pretraining: no task's labels. The corpus does not say who plays. Many artists, and some
recordings, occur in several files (Sturm, MIRUM 2012), so scores on its folds flatter.
"""

import re
from pathlib import Path

from training.corpora.clip import Clip, CorpusError, require_files

FOLDER = "GTZAN"
LICENCE = "none stated, commonly used for research"
GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)
_NAME = re.compile(r"(\w+)\.000(\d)\d\.(?:wav|au)")


def load(root: Path) -> list[Clip]:
    """Read `genres_original/GENRE/GENRE.00000.wav`, or `.au` in `genres`, below `root`.

    Each file is a group of its own, as nothing tells which belong together; fold n is the
    files `000n0` to `000n9` of every genre, because excerpts of one artist often follow
    each other. Damaged files (`jazz.00054.wav` in the official download) are listed as well:
    decoding reports them and leaves them out, as it does with `.au`, which is no accepted
    format.
    """
    clips = []
    for path in require_files(root, "genres*/*/[!.]*.[aw]*", "recordings"):
        genre = path.parent.name
        name = _NAME.fullmatch(path.name)
        if name is None or name[1] != genre or genre not in GENRES:
            raise CorpusError(
                f"{path}: expected a name like jazz/jazz.00054.wav, genre {', '.join(GENRES)}"
            )
        clips.append(
            Clip(
                path=path,
                label=genre,
                corpus="gtzan",
                group=f"gtzan:{path.stem}",
                fold=name[2],
            )
        )
    return clips
