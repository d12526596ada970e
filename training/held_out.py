"""What is held out where the user has not said."""

from collections.abc import Mapping, Sequence

from training.tasks import TASKS, TaskName
from training.corpora import TASK_CORPORA, Clip
from training.recipes import HELD_OUT
from training.splits import draw_folds

Folds = Mapping[str, Sequence[str]]
"""corpus -> folds or speakers"""


def standard_folds(clips: Sequence[Clip], task: TaskName, seed: int) -> Folds:
    """The folds that `task` holds out by default, or drawn ones where the data lacks some.

    Raises SplitError when there is nothing to draw from.
    """
    standard = HELD_OUT[task]
    present = {(clip.corpus, clip.fold) for clip in clips}
    if all((corpus, fold) in present for corpus, folds in standard.items() for fold in folds):
        return standard
    return draw_folds(clips, seed)


def all_standard_folds(clips: Sequence[Clip], seed: int) -> Folds:
    """What every task with clips here holds out: pretraining for them must not hear it."""
    folds: dict[str, Sequence[str]] = {}
    for task in TASKS:
        of_task = [clip for clip in clips if clip.corpus in TASK_CORPORA[task]]
        if of_task:
            folds |= standard_folds(of_task, task, seed)
    return folds
