"""Splits in which no speaker, fold or source recording is on both sides."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.corpora import CorpusError, LabeledRecording
from training.tasks import TASKS

Folds = Mapping[str, Sequence[str]]
"""corpus -> folds or speakers"""

_HELD_OUT_FRACTION = 0.2


class SplitError(ValueError):
    """The recordings cannot be split as asked, or not so that each label is learned and tested."""


@dataclass(frozen=True)
class Split:
    """Recordings to train on, and recordings of other groups to test on."""

    train: list[LabeledRecording]
    test: list[LabeledRecording]


def hold_out(recordings: Sequence[LabeledRecording], folds: Folds) -> Split:
    """Hold out the named folds (or speakers) of each corpus.

    A recording whose group also occurs among the held-out ones is dropped from the training
    side, whatever its corpus: UrbanSound8K and ESC-50 share sources in Freesound.

    Args:
        recordings: of all corpora.
        folds: corpus name -> values of `LabeledRecording.fold` to hold out.

    Raises:
        SplitError: a named fold does not occur, or one side comes out empty.
    """
    present = {(recording.corpus, recording.fold) for recording in recordings}
    corpora = {corpus for corpus, _ in present}
    for corpus, names in folds.items():
        absent = [name for name in names if (corpus, name) not in present]
        if corpus in corpora and absent:
            known = sorted(fold for name, fold in present if name == corpus)
            raise SplitError(f"{corpus} has no fold {', '.join(absent)}; it has {', '.join(known)}")
    test = [each for each in recordings if each.fold in folds.get(each.corpus, ())]
    held_out = {recording.group for recording in test}
    train = [recording for recording in recordings if recording.group not in held_out]
    if not train or not test:
        side = "training" if not train else "held-out"
        raise SplitError(f"the {side} side of the split is empty (held out: {dict(folds)})")
    return Split(train=train, test=test)


def default_held_out(recordings: Sequence[LabeledRecording], task: str, seed: int) -> Folds:
    """Return the folds that a task of `TASKS` holds out, or drawn ones where the data lacks some.

    Folds are drawn for any other task, too. Raises SplitError when there is nothing to draw from.
    """
    present = {(recording.corpus, recording.fold) for recording in recordings}
    folds = TASKS[task].held_out if task in TASKS else {}
    wanted = {(corpus, fold) for corpus, names in folds.items() for fold in names}
    return folds if folds and wanted <= present else draw_folds(recordings, seed)


def held_out_of_all_tasks(recordings: Sequence[LabeledRecording], seed: int) -> Folds:
    """Return what each task of `TASKS` holds out by default, for pretraining."""
    folds: dict[str, Sequence[str]] = {}
    for name, task in TASKS.items():
        of_task = [recording for recording in recordings if recording.corpus in task.corpora]
        if of_task:
            folds |= default_held_out(of_task, name, seed)
    return folds


def draw_folds(recordings: Sequence[LabeledRecording], seed: int) -> dict[str, tuple[str, ...]]:
    """Draw about a fifth of the folds (or speakers) to hold out, where nobody has named any.

    Raises SplitError when there are fewer than two.
    """
    folds = sorted({(recording.corpus, recording.fold) for recording in recordings})
    if len(folds) < 2:
        raise SplitError(
            f"nothing can be held out: all recordings are of one fold or speaker {folds}"
        )
    count = max(1, round(_HELD_OUT_FRACTION * len(folds)))
    drawn = np.random.default_rng(seed).permutation(len(folds))[:count]
    held_out: dict[str, tuple[str, ...]] = {}
    for corpus, fold in sorted(folds[i] for i in drawn):
        held_out[corpus] = (*held_out.get(corpus, ()), fold)
    return held_out


def require_labels(recordings: Sequence[LabeledRecording], labels: Collection[str]) -> None:
    """Raise CorpusError, naming the file, for a recording whose label is none of `labels`."""
    for recording in recordings:
        if recording.label not in labels:
            raise CorpusError(
                f"{recording.path} ({recording.corpus}): label {recording.label!r} is not one of "
                f"{', '.join(labels)}"
            )


def require_groups(recordings: Sequence[LabeledRecording]) -> None:
    """Check, before a long run, that each label can be learned and measured on other groups.

    Raises SplitError when all recordings of a label, over all corpora, are of one group.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        groups[recording.label].add(recording.group)
    single = {
        recording.label: recording for recording in recordings if len(groups[recording.label]) == 1
    }
    if single:
        named = "; ".join(
            f"{label}: {recording.group} of {recording.corpus} (such as {recording.path})"
            for label, recording in sorted(single.items())
        )
        raise SplitError(
            "labels with recordings of one group only can be learned or measured, not both: "
            f"{named}. Add recordings of another speaker or source, or leave the label out"
        )


def require_learnable(split: Split) -> None:
    """Raise SplitError when a label is on the held-out side and not on the training side."""
    learned = {recording.label for recording in split.train}
    unknown = {
        recording.label: recording for recording in split.test if recording.label not in learned
    }
    if unknown:
        named = "; ".join(
            f"{label}: fold {recording.fold} of {recording.corpus} (such as {recording.path})"
            for label, recording in sorted(unknown.items())
        )
        raise SplitError(
            f"labels that are held out with nothing left to learn them from: {named}. "
            "Hold out other folds or speakers"
        )
