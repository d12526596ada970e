"""What a network's outputs say: probabilities, and whether a clip is of a known kind at all."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.checkpoints.card import Card
from app.checkpoints.labels import TaskName
from app.inference.engine import apply_temperature
from app.inference.names import Reason

_UNFAMILIAR: Mapping[TaskName, Reason] = {"urban-sound": "unfamiliar", "emotion": "no_voice"}
"""what that is called which is like nothing in a task's training"""


def probabilities(outputs: NDArray[np.float32], card: Card) -> NDArray[np.float32]:
    """Calibrated probabilities `[clips, labels]` of the outputs `[clips, Card.outputs]`."""
    return apply_temperature(outputs[:, : len(card.labels)], card.temperature)


def unlabelled(
    outputs: NDArray[np.float32], silent: NDArray[np.bool_], card: Card
) -> list[Reason | None]:
    """Why each clip has no label, or None where it has one.

    Args:
        outputs: shape `[clips, Card.outputs]`.
        silent: whether nothing can be heard in a clip, shape `[clips]`.
        card: of the checkpoint that gave the outputs. Where it names no threshold, all that
            can be heard has a label.
    """
    threshold = None if card.familiarity is None else card.familiarity.threshold
    foreign = np.zeros(len(outputs), bool) if threshold is None else outputs[:, -1] < threshold
    return [
        "silent" if is_silent else _UNFAMILIAR[card.task] if is_foreign else None
        for is_silent, is_foreign in zip(silent, foreign, strict=True)
    ]


def unlabelled_whole(clips: Sequence[Reason | None], gaps: Sequence[bool]) -> Reason | None:
    """Why a recording of these clips has no label as a whole, or None if it has one.

    It has one when at least half of the clips that can be heard do. Those in which there are
    `gaps` count only where all have them: they are unlike what was learned for that alone.
    """
    audible = [(reason, gap) for reason, gap in zip(clips, gaps, strict=True) if reason != "silent"]
    if not audible:
        return "silent"
    whole = [reason for reason, gap in audible if not gap]
    heard = whole or [reason for reason, _ in audible]
    reasons = [reason for reason in heard if reason is not None]
    return reasons[0] if 2 * len(reasons) > len(heard) else None
