"""Splits that never share a speaker, a fold or a Freesound id."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.corpora.clip import Clip, CorpusError

_HELD_OUT_SHARE = 0.2


class SplitError(ValueError):
    """The clips cannot be split as asked, or not so that something is learned and measured."""


@dataclass(frozen=True)
class Split:
    """Clips to learn from, and clips of other groups to measure on."""

    train: list[Clip]
    test: list[Clip]


def hold_out(clips: Sequence[Clip], folds: Mapping[str, Sequence[str]]) -> Split:
    """Hold out the named folds (or speakers) of each corpus.

    A clip whose group also occurs among the held-out clips is dropped from the training
    side, whatever its corpus: UrbanSound8K and ESC-50 share recordings of Freesound.

    Args:
        clips: all clips.
        folds: corpus name -> `Clip.fold` values to hold out.

    Raises:
        SplitError: a named fold does not occur, or one side comes out empty.
    """
    present = {(clip.corpus, clip.fold) for clip in clips}
    corpora = {corpus for corpus, _ in present}
    for corpus, names in folds.items():
        absent = [name for name in names if (corpus, name) not in present]
        if corpus in corpora and absent:
            known = sorted(fold for name, fold in present if name == corpus)
            raise SplitError(f"{corpus} has no fold {', '.join(absent)}; it has {', '.join(known)}")
    test = [clip for clip in clips if clip.fold in folds.get(clip.corpus, ())]
    held = {clip.group for clip in test}
    train = [clip for clip in clips if clip.group not in held]
    if not train or not test:
        side = "training" if not train else "held-out"
        raise SplitError(f"the {side} side of the split is empty (held out: {dict(folds)})")
    return Split(train=train, test=test)


def draw_folds(clips: Sequence[Clip], seed: int) -> dict[str, tuple[str, ...]]:
    """Draw about a fifth of the folds (or speakers) to hold out, where nobody has named any.

    Raises SplitError when there are fewer than two.
    """
    folds = sorted({(clip.corpus, clip.fold) for clip in clips})
    if len(folds) < 2:
        raise SplitError(f"nothing can be held out: all clips are of one fold or speaker {folds}")
    count = max(1, round(_HELD_OUT_SHARE * len(folds)))
    drawn = np.random.default_rng(seed).permutation(len(folds))[:count]
    held: dict[str, tuple[str, ...]] = {}
    for corpus, fold in sorted(folds[i] for i in drawn):
        held[corpus] = (*held.get(corpus, ()), fold)
    return held


def require_labels(clips: Sequence[Clip], labels: Collection[str]) -> None:
    """Raise CorpusError, naming the file, for a clip whose label is none of `labels`."""
    for clip in clips:
        if clip.label not in labels:
            raise CorpusError(
                f"{clip.path} ({clip.corpus}): label {clip.label!r} is not one of "
                f"{', '.join(labels)}"
            )


def require_groups(clips: Sequence[Clip]) -> None:
    """Check, before a long run, that each label can be learned and measured on other groups.

    Raises SplitError when all clips of a label, over all corpora, are of one group.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        groups[clip.label].add(clip.group)
    single = {clip.label: clip for clip in clips if len(groups[clip.label]) == 1}
    if single:
        named = "; ".join(
            f"{label}: {clip.group} of {clip.corpus} (such as {clip.path})"
            for label, clip in sorted(single.items())
        )
        raise SplitError(
            f"labels with clips of one group only can be learned or measured, not both: {named}. "
            "Add recordings of another speaker or source, or leave the label out"
        )


def require_learnable(split: Split) -> None:
    """Raise SplitError when a label is on the held-out side and not on the training side."""
    learned = {clip.label for clip in split.train}
    unknown = {clip.label: clip for clip in split.test if clip.label not in learned}
    if unknown:
        named = "; ".join(
            f"{label}: fold {clip.fold} of {clip.corpus} (such as {clip.path})"
            for label, clip in sorted(unknown.items())
        )
        raise SplitError(
            f"labels that are held out with nothing left to learn them from: {named}. "
            "Hold out other folds or speakers"
        )
