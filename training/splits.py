"""Splits that never share a speaker, a fold or a Freesound id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.datasets.clip import Clip

_HELD_OUT_SHARE = 0.2


class SplitError(ValueError):
    """The split that was asked for is empty on one side."""


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
