"""One row of a corpus, and the errors of reading one."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Clip:
    """One labelled recording."""

    path: Path
    label: str
    """the project's label, see `training.tasks`"""
    corpus: str
    """name of the corpus in `training.corpora.CORPORA`, or `folders.CORPUS`"""
    group: str
    """what must not cross a split, unique over all corpora: a speaker or a Freesound id"""
    fold: str
    """the official fold, or the speaker where the corpus has no folds"""


class CorpusError(ValueError):
    """A corpus is not laid out as its official download; the message names the file and row."""


def require_files(root: Path, pattern: str, what: str) -> list[Path]:
    """Return the files below `root` that match `pattern`, sorted, or say what was expected."""
    files = sorted(root.glob(pattern))
    if not files:
        raise CorpusError(f"{root}: no {what} found (looked for {pattern})")
    return files
