"""From a recording's samples to a calibrated answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.checkpoints.card import Card
from app.inference.engine import Engine, calibrate, recording_logits


@dataclass(frozen=True)
class Answer:
    """Probabilities for a recording, and for each of the clips it was cut into."""

    probabilities: NDArray[np.float32]
    """shape `[labels]`, in the order of the card's labels; they add up to 1"""
    clip_probabilities: NDArray[np.float32]
    """shape `[clips, labels]`"""


class Classifier:
    """A checkpoint's card and its compiled network."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self.card = card
        self._engine = engine

    def classify(self, samples: NDArray[np.float32]) -> Answer:
        """Answer for a mono recording at the card's sample rate, of any length but zero.

        The recording's probabilities are the mean of its clips'.
        """
        logits = recording_logits(self._engine, samples, self.card.front_end)
        clip_probabilities = calibrate(logits, self.card.temperature)
        return Answer(clip_probabilities.mean(axis=0), clip_probabilities)
