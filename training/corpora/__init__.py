"""Corpora in their official layouts, each read into a table of clips."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

from training.tasks import TaskName
from training.corpora import (
    cremad,
    emodb,
    esc50,
    folders,
    gtzan,
    nemo,
    ravdess,
    savee,
    tess,
    urbansound8k,
    urdu,
)
from training.corpora.clip import Clip, CorpusError

__all__ = [
    "CORPORA",
    "TASK_CORPORA",
    "Clip",
    "CorpusError",
    "licence",
    "load_corpora",
    "load_task",
    "load_unlabelled",
]

CORPORA: dict[str, ModuleType] = {
    "urbansound8k": urbansound8k,
    "esc50": esc50,
    "ravdess": ravdess,
    "emodb": emodb,
    "tess": tess,
    "nemo": nemo,
    "urdu": urdu,
    "cremad": cremad,
    "savee": savee,
    "gtzan": gtzan,
}

TASK_CORPORA: dict[TaskName, tuple[str, ...]] = {
    "urban-sound": ("urbansound8k",),
    "emotion": ("ravdess", "emodb", "tess", "nemo", "urdu", "cremad", "savee"),
}

UNLABELLED_CORPORA: dict[TaskName, tuple[str, ...]] = {"urban-sound": ("esc50",), "emotion": ()}
"""more sounds of the same kind, labelled otherwise or not at all"""


def load_corpora(data: Path, names: Iterable[str]) -> list[Clip]:
    """Read those of the named corpora that have a folder below `data`.

    Raises CorpusError when none has one, or when one that is there is not as expected.
    """
    names = tuple(names)
    clips = _load_present(data, names)
    if not clips:
        folders = ", ".join(CORPORA[name].FOLDER for name in names)
        raise CorpusError(f"{data}: none of the folders {folders} is here")
    return clips


def load_task(data: Path, task: TaskName) -> list[Clip]:
    """Read all corpora of `task` that are below `data`."""
    return load_corpora(data, TASK_CORPORA[task])


def load_unlabelled(data: Path, task: TaskName) -> list[Clip]:
    """Read what `UNLABELLED_CORPORA` names for `task` and is below `data`; it may be nothing.

    Raises CorpusError when a corpus that is there is not as expected.
    """
    return _load_present(data, UNLABELLED_CORPORA[task])


def _load_present(data: Path, names: Iterable[str]) -> list[Clip]:
    clips: list[Clip] = []
    for name in names:
        corpus = CORPORA[name]
        root = data / corpus.FOLDER
        if root.is_dir():
            load: Callable[[Path], list[Clip]] = corpus.load
            clips.extend(load(root))
    return clips


def licence(corpus: str) -> str:
    """What the recordings of a corpus may be used for, as their publisher says."""
    if corpus == folders.CORPUS:
        return folders.LICENCE
    text: str = CORPORA[corpus].LICENCE
    return text
