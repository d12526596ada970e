"""Labelled recordings, the corpora that hold them, and the errors of reading one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class LabeledRecording:
    """A file of sound and its label."""

    path: Path
    label: str
    """as in `training.tasks`, or the corpus' own where it serves no task"""
    corpus: str
    """name in `training.corpora.CORPORA`, or `folders`"""
    group: str
    """what must not cross a split, unique over all corpora: a speaker or a source recording"""
    fold: str
    """the official fold, or the speaker or source where the corpus has no folds"""


class CorpusError(ValueError):
    """A corpus is not laid out as its official download; the message names the file and row."""


class Corpus(Protocol):
    """A published corpus in the layout of its official download."""

    @property
    def name(self) -> str:
        """Return the name that splits, cards and `--hold-out` use."""
        ...

    @property
    def folder(self) -> str:
        """Return the name of the corpus' folder below `--data`."""
        ...

    @property
    def licence(self) -> str:
        """Return what the recordings may be used for, as their publisher says."""
        ...

    def load(self, root: Path) -> list[LabeledRecording]:
        """Read the corpus whose folder is `root`; raise CorpusError where it is not as expected."""
        ...


def is_hidden(path: Path) -> bool:
    """Return whether a file belongs to the system: `._x.wav`, `.DS_Store`, `__MACOSX/x.wav`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
