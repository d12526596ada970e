"""Corpora in their official layouts, each read into a table of clips."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType

from app.checkpoints.labels import TaskName
from training.datasets import (
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
from training.datasets.clip import Clip, CorpusError

__all__ = ["CORPORA", "TASK_CORPORA", "Clip", "CorpusError", "licence", "load_corpora", "load_task"]

Loader = Callable[[Path], list[Clip]]
"""reads the folder of one corpus; raises CorpusError, naming file and row"""

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

TASK_CORPORA: dict[TaskName, dict[str, Loader]] = {
    "urban-sound": {"urbansound8k": urbansound8k.load, "esc50": esc50.load_urban_sounds},
    "emotion": {
        name: CORPORA[name].load
        for name in ("ravdess", "emodb", "tess", "nemo", "urdu", "cremad", "savee")
    },
}
"""how the corpora that know some of a task's labels are read for it"""


def load_corpora(data: Path, names: Collection[str]) -> list[Clip]:
    """Read those of the named corpora that have a folder below `data`, with labels of their own.

    Raises CorpusError when none has one, or when one that is there is not as expected.
    """
    return _load(data, {name: CORPORA[name].load for name in names})


def load_task(data: Path, task: TaskName, names: Collection[str] | None = None) -> list[Clip]:
    """Read the corpora of `task` that have a folder below `data`, with the task's labels.

    With `names`, only those of them. Raises as `load_corpora`.
    """
    corpora = TASK_CORPORA[task]
    return _load(data, {name: corpora[name] for name in (corpora if names is None else names)})


def _load(data: Path, corpora: Mapping[str, Loader]) -> list[Clip]:
    clips: list[Clip] = []
    for name, load in corpora.items():
        root = data / CORPORA[name].FOLDER
        if root.is_dir():
            clips.extend(load(root))
    if not clips:
        folders = ", ".join(CORPORA[name].FOLDER for name in corpora)
        raise CorpusError(f"{data}: none of the folders {folders} is here")
    return clips


def licence(corpus: str) -> str:
    """What the recordings of a corpus may be used for, as their publisher says."""
    if corpus == folders.CORPUS:
        return folders.LICENCE
    text: str = CORPORA[corpus].LICENCE
    return text
