"""The labelled recordings of a task, and the split and decoded data of one training."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.corpora import CorpusError, LabeledRecording, load_corpora
from training.corpora.folders import load_folders
from training.ood_data import OodRecordings, load_ood_recordings
from training.splits import (
    Folds,
    Split,
    hold_out,
    require_groups,
    require_labels,
    require_learnable,
)
from training.tasks import TASKS, Task
from training.waveforms import Waveforms, decode_all, group_copies, readable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSource:
    """Where labelled recordings are: corpora in their official layouts, or one's own folders."""

    path: Path
    folder_per_label: bool = False
    """whether `path` holds one folder for each label; see `training.corpora.folders`"""
    left_out: tuple[str, ...] = ()
    """corpora of the task that are not read"""

    def load(self, task: str) -> tuple[list[LabeledRecording], tuple[str, ...]]:
        """Return the recordings, and the labels in the order of the network's outputs.

        Raises CorpusError when the data is not as expected (the message names file and row), or
        the corpora serve no such task.
        """
        if self.folder_per_label:
            recordings = load_folders(self.path)
            return recordings, tuple(sorted({recording.label for recording in recordings}))
        task_spec = self._task(task)
        corpora = [name for name in task_spec.corpora if name not in self.left_out]
        recordings = load_corpora(self.path, corpora)
        require_labels(recordings, task_spec.labels)
        return recordings, task_spec.labels

    def load_unlabelled(self, task: str) -> list[LabeledRecording]:
        """Return more recordings of the same kind, without labels of the task; maybe none.

        Raises CorpusError when a corpus that is there is not as expected.
        """
        if self.folder_per_label:
            return []
        return load_corpora(self.path, self._task(task).unlabelled_corpora, optional=True)

    def load_ood(self, task: str, labelled: Sequence[LabeledRecording]) -> OodRecordings | None:
        """Return out-of-distribution recordings; None where there are none to learn from.

        Raises CorpusError when a corpus that is there is not as expected.
        """
        if self.folder_per_label:
            return None
        ood = load_ood_recordings(self.path, self._task(task).ood_sources, labelled)
        return ood if ood.train else None

    def _task(self, name: str) -> Task:
        if name not in TASKS:
            raise CorpusError(
                f"no corpora have labels of the task {name}, only of {', '.join(TASKS)}; "
                "train it on your own recordings with --folders"
            )
        return TASKS[name]


@dataclass(frozen=True)
class TrainingData:
    """Labelled recordings, split and decoded."""

    split: Split
    waveforms: Waveforms
    """of both sides and of `unlabelled`"""
    skipped: int
    """labelled recordings that could not be decoded, or are silent"""
    unlabelled: Sequence[LabeledRecording] = ()
    """to learn from, with a label that is none of the task's; no group of theirs is in `split`"""


def prepare(
    recordings: Sequence[LabeledRecording],
    folds: Folds,
    *,
    sample_rate: int,
    cache: Path,
    unlabelled: Sequence[LabeledRecording] = (),
) -> TrainingData:
    """Split and decode recordings; whatever is wrong with the labelled ones is told first.

    Args:
        recordings: labelled, of both sides of the split.
        folds: to hold out.
        sample_rate: of the waveforms, Hz.
        cache: folder for decoded recordings.
        unlabelled: those that share a group with a labelled one are left out.

    Raises:
        CorpusError: no recording can be decoded, or the same audio is in different groups.
        SplitError: a side is empty, or a label cannot be both learned and measured.
        OSError: the cache cannot be written.
    """
    require_groups(recordings)
    require_learnable(hold_out(recordings, folds))
    groups = {recording.group for recording in recordings}
    others = [recording for recording in unlabelled if recording.group not in groups]
    waveforms = decode_all([*recordings, *others], sample_rate=sample_rate, cache=cache)
    usable = readable(recordings, waveforms)
    if not usable:
        raise CorpusError(
            f"none of the {len(recordings)} recordings could be decoded, such as "
            f"{recordings[0].path}; the warnings say why"
        )
    _require_no_leak(usable, waveforms)
    split = hold_out(usable, folds)
    require_learnable(split)
    return TrainingData(
        split,
        waveforms,
        skipped=len(recordings) - len(usable),
        unlabelled=readable(others, waveforms),
    )


def _require_no_leak(recordings: Sequence[LabeledRecording], waveforms: Waveforms) -> None:
    """Tell how many recordings are copies; raise CorpusError where one is in another group."""
    copies = group_copies(recordings, waveforms)
    for group in copies:
        other = next((each for each in group if each.group != group[0].group), None)
        if other is not None:
            raise CorpusError(
                f"{group[0].path} and {other.path} hold the same audio in different groups "
                f"({group[0].group}, {other.group}): one would be learned and the other measured. "
                "Remove one, or put both into one group"
            )
    count = sum(len(group) - 1 for group in copies)
    log.log(logging.WARNING if count else logging.INFO, "%d recordings are copies of others", count)
