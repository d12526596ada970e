"""What one training works on: labelled clips, split and decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.tasks import LABELS, TaskName
from training.corpora import Clip, load_task, load_unlabelled
from training.corpora.folders import load_folders
from training.held_out import Folds
from training.ood_data import Foreign, foreign_clips
from training.splits import hold_out, require_groups, require_labels, require_learnable
from training.waveforms import Waveforms, decode_all, readable


@dataclass(frozen=True)
class Source:
    """Where labelled clips are: corpora in their official layouts, or one's own folders."""

    data: Path
    folder_per_class: bool = False
    """whether `data` holds one folder for each label; see `training.corpora.folders`"""

    def load(self, task: TaskName) -> tuple[list[Clip], tuple[str, ...]]:
        """The clips, and the labels in the order of the network's outputs.

        Raises CorpusError when the data is not as expected; the message names file and row.
        """
        if self.folder_per_class:
            clips = load_folders(self.data)
            return clips, tuple(sorted({clip.label for clip in clips}))
        clips = load_task(self.data, task)
        require_labels(clips, LABELS[task])
        return clips, LABELS[task]

    def load_unlabelled(self, task: TaskName) -> list[Clip]:
        """More clips of the same kind, without labels of the task; there may be none.

        Raises CorpusError when a corpus that is there is not as expected.
        """
        return [] if self.folder_per_class else load_unlabelled(self.data, task)

    def load_foreign(self, task: TaskName, known: Sequence[Clip]) -> Foreign | None:
        """Clips of no known kind; None where there are none to learn from.

        Raises CorpusError when a corpus that is there is not as expected.
        """
        if self.folder_per_class:
            return None
        foreign = foreign_clips(self.data, task, known)
        return foreign if foreign.learned else None


@dataclass(frozen=True)
class Material:
    """Clips of both sides of a split, decoded."""

    train: list[Clip]
    test: list[Clip]
    waveforms: Waveforms
    skipped: int
    """labelled clips of either side that could not be decoded, or are silent"""
    unlabelled: Sequence[Clip] = ()
    """clips to learn from whose label is none of the task's; no group of theirs is in `train`
    or `test`"""


def prepare(
    clips: Sequence[Clip],
    folds: Folds,
    *,
    sample_rate: int,
    cache: Path,
    unlabelled: Sequence[Clip] = (),
) -> Material:
    """Split and decode clips; whatever is wrong with the labelled ones is told first.

    Raises:
        SplitError: a side is empty, or a label cannot be both learned and measured.
        OSError: the cache cannot be written.
    """
    require_groups(clips)
    require_learnable(hold_out(clips, folds))
    known = {clip.group for clip in clips}
    others = [clip for clip in unlabelled if clip.group not in known]
    waveforms = decode_all([*clips, *others], sample_rate=sample_rate, cache=cache)
    usable = readable(clips, waveforms)
    split = hold_out(usable, folds)
    require_learnable(split)
    return Material(
        split.train,
        split.test,
        waveforms,
        skipped=len(clips) - len(usable),
        unlabelled=readable(others, waveforms),
    )
