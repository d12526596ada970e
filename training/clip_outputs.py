"""The outputs of a checkpoint for whole recordings, and what the service would make of them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from app.audio.network_inputs import clip_blocks
from app.audio.silence import is_silent
from app.checkpoints.card import Card
from app.inference.classifier import aggregate_rejection, label_probabilities, rejection_reasons
from app.inference.engine import MAX_BATCH_SIZE, Engine

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 4
"""results that wait for each thread's next turn: waveforms must not pile up"""


@dataclass(frozen=True)
class RecordingOutputs:
    """The outputs for each clip of a recording."""

    outputs: NDArray[np.float32]
    """shape `[clips, Card.output_size]`"""
    silent: NDArray[np.bool_]
    """shape `[clips]`"""
    partially_silent: NDArray[np.bool_]
    """shape `[clips]`"""

    def probabilities(self, card: Card) -> NDArray[np.float32]:
        """Return the mean of the clips' calibrated probabilities, `[labels]`.

        Clips that are rejected count as well, as in `earshot evaluate`: a label is judged apart
        from the decision whether to give one.
        """
        mean: NDArray[np.float32] = label_probabilities(self.outputs, card).mean(axis=0)
        return mean

    def is_rejected(self, card: Card) -> bool:
        """Return whether the service would give the recording no label."""
        reasons = rejection_reasons(self.outputs, self.silent, card)
        return aggregate_rejection(reasons, self.partially_silent.tolist()) is not None


def compute_outputs(engine: Engine, samples: NDArray[np.float32], card: Card) -> RecordingOutputs:
    """Compute the outputs of a recording, mono at the card's rate, shape `[samples]`."""
    blocks = list(clip_blocks([samples], card.input, clips=MAX_BATCH_SIZE))
    silent = np.concatenate([block.silent for block in blocks])
    return RecordingOutputs(
        outputs=np.concatenate([engine.infer(block.inputs) for block in blocks]),
        silent=silent | is_silent(float(samples.min()), float(samples.max())),
        partially_silent=np.concatenate([block.partially_silent for block in blocks]),
    )


def map_in_threads(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yield `function` of each item in order, a few at a time on all cores."""
    threads = cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        step = threads * _AHEAD
        for start in range(0, len(items), step):
            yield from pool.map(function, items[start : start + step])
