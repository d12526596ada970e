"""Labelled recordings, the corpora that hold them, and the errors of reading one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabeledRecording:
    """A file of sound and its label."""

    path: Path
    label: str
    """as in `training.tasks`, or the corpus' own where it serves no task"""
    corpus: str
    """name in `training.corpora.CORPORA`, or `folders`"""
    group: str
    """speaker or source recording, which must not cross a split; unique over all corpora"""
    fold: str
    """the official fold, or the speaker or source where the corpus has no folds"""


class CorpusError(ValueError):
    """A corpus is not laid out as its official download; the message names the file and row."""


@dataclass(frozen=True, kw_only=True)
class Corpus(ABC):
    """A published corpus in the layout of its official download."""

    name: str
    """in splits, in cards and for `--hold-out`"""
    folder: str
    """below `--data`"""
    licence: str
    """of the recordings, as their publisher says"""
    citation: str

    @abstractmethod
    def load(self, root: Path) -> list[LabeledRecording]:
        """Read the corpus whose folder is `root`; raise CorpusError where it is not as expected."""
