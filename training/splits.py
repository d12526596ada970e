"""Splits in which no speaker, fold or source recording is on both sides."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from training.corpora import CorpusError, LabeledRecording
from training.corpora.csv_tables import URBANSOUND8K
from training.tasks import TASKS

Folds = Mapping[str, Sequence[str]]
"""corpus -> folds or speakers"""

log = logging.getLogger(__name__)

_DRAWN_FROM = 5
"""folds of which one is held out where nobody has named any: a fifth of the recordings"""
_OFFICIAL_FOLDS = 10
"""of UrbanSound8K"""
_ATTEMPTS = 10
"""at a split with every label on both sides, each by another seed"""
_ADVICE = (
    "Add recordings of another speaker or session, name what to hold out (--hold-out CORPUS:FOLD), "
    "or leave the label out"
)


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

    The labels are as frequent on both sides as can be, and each is on both.

    Raises SplitError when there are fewer than two folds, a label has recordings of one group
    only, or no draw has every label on both sides.
    """
    units = {(recording.corpus, recording.fold) for recording in recordings}
    if len(units) < 2:
        raise SplitError(
            f"nothing can be held out: all recordings are of one fold or speaker {sorted(units)}"
        )
    require_groups(recordings)
    one_sided: set[str] = set()
    for count in range(min(_DRAWN_FROM, len(units)), 1, -1):
        for attempt in range(_ATTEMPTS):
            for folds in _stratified(recordings, count, seed + attempt):
                missing = _one_sided_labels(hold_out(recordings, folds), recordings)
                if not missing:
                    return folds
                one_sided |= missing
    raise SplitError(
        "no drawn split has every label both to learn from and to measure: "
        f"{_describe(one_sided, recordings)}. {_ADVICE}"
    )


def k_folds(
    recordings: Sequence[LabeledRecording], count: int, seed: int
) -> list[dict[str, tuple[str, ...]]]:
    """Part all folds (or speakers) into sets to hold out in turn, with labels alike frequent.

    Args:
        recordings: of which each is held out once.
        count: of the sets.
        seed: of the draw.

    Raises SplitError when a label would be missing on one side of one of the splits.
    """
    units = {(recording.corpus, recording.fold) for recording in recordings}
    if not 2 <= count <= len(units):
        raise SplitError(
            f"--folds {count}: from 2 to {len(units)} are possible, for the recordings are of "
            f"{len(units)} official folds, speakers or sessions, which stay together"
        )
    require_groups(recordings)
    one_sided: set[str] = set()
    for attempt in range(_ATTEMPTS):
        drawn = _stratified(recordings, count, seed + attempt)
        missing = {
            label
            for folds in drawn
            for label in _one_sided_labels(hold_out(recordings, folds), recordings)
        }
        if len(drawn) == count and not missing:
            return drawn
        one_sided |= missing
    raise SplitError(
        f"--folds {count}: a label would be missing from some of the folds: "
        f"{_describe(one_sided, recordings)}. Ask for fewer folds. {_ADVICE}"
    )


def official_folds(recordings: Sequence[LabeledRecording]) -> list[dict[str, tuple[str, ...]]]:
    """Return UrbanSound8K's folds, to be held out in turn; raise SplitError for other recordings.

    Those that the data lacks are left out with a warning.
    """
    name = URBANSOUND8K.name
    others = {recording.corpus for recording in recordings} - {name}
    if others:
        raise SplitError(
            f"--folds official are those of {name}, and these recordings are of "
            f"{', '.join(sorted(others))}; ask for a number, such as --folds 5"
        )
    numbers = sorted({int(recording.fold) for recording in recordings})
    if len(numbers) < _OFFICIAL_FOLDS:
        log.warning(
            "only %d of the %d official folds are here: %s",
            len(numbers),
            _OFFICIAL_FOLDS,
            ", ".join(map(str, numbers)),
        )
    return [{name: (str(number),)} for number in numbers]


def _stratified(
    recordings: Sequence[LabeledRecording], count: int, seed: int
) -> list[dict[str, tuple[str, ...]]]:
    """Part the folds (or speakers) of all corpora by labels; sets that came out empty are none."""
    units = [(recording.corpus, recording.fold) for recording in recordings]
    names = sorted(set(units))
    number = {unit: index for index, unit in enumerate(names)}
    labels = [recording.label for recording in recordings]
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    parts = []
    groups = np.array([number[unit] for unit in units])
    for _, test in splitter.split(np.zeros((len(labels), 1)), labels, groups):
        held_out: dict[str, tuple[str, ...]] = {}
        for corpus, fold in (names[i] for i in np.unique(groups[test])):
            held_out[corpus] = (*held_out.get(corpus, ()), fold)
        if held_out:
            parts.append(held_out)
    order = np.random.default_rng(seed).permutation(len(parts))
    return [parts[i] for i in order]


def _one_sided_labels(split: Split, recordings: Sequence[LabeledRecording]) -> set[str]:
    """Return the labels that are not on both sides of a split of `recordings`."""
    learned = {recording.label for recording in split.train}
    measured = {recording.label for recording in split.test}
    return {recording.label for recording in recordings} - (learned & measured)


def _describe(labels: Collection[str], recordings: Sequence[LabeledRecording]) -> str:
    """Name the folds or speakers of each label; of many, the first."""
    parts = []
    for label in sorted(labels):
        folds = sorted({each.fold for each in recordings if each.label == label})
        more = ", ..." if len(folds) > 4 else ""
        parts.append(f"{label} ({', '.join(folds[:4])}{more})")
    return "; ".join(parts)


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


def require_measured(split: Split, recordings: Sequence[LabeledRecording]) -> None:
    """Check, before a long run, that each label is measured where its corpus is.

    A label that no recording of the held-out corpora has cannot be measured on them: that is a
    warning, as where a corpus is held out that lacks one of the task's labels.

    Args:
        split: of `recordings`.
        recordings: of both sides.

    Raises SplitError when a label is not on the held-out side, and could be.
    """
    measured = {recording.label for recording in split.test}
    corpora = {recording.corpus for recording in split.test}
    unmeasured = {recording.label for recording in recordings} - measured
    there = [each for each in recordings if each.corpus in corpora and each.label in unmeasured]
    if there:
        labels = {recording.label for recording in there}
        raise SplitError(
            "labels that no held-out recording has, so that nothing would tell how well they are "
            f"found: {_describe(labels, there)}. Hold out one of these folds or speakers too "
            "(--hold-out CORPUS:FOLD), or leave the label out"
        )
    if unmeasured:
        log.warning(
            "not measured, for no held-out corpus has it: %s", ", ".join(sorted(unmeasured))
        )
