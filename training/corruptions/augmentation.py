"""Corruptions that training draws at random, none as strong as those of tests."""

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.corruptions import CORRUPTIONS, CorruptionKind
from training.corruptions.backgrounds import BackgroundPool
from training.corruptions.effects import Background
from training.corruptions.severities import TRAINING_EFFECTS

Array = NDArray[np.float32]
Backgrounds = Mapping[CorruptionKind, BackgroundPool]
"""kind of `training.corruptions.BACKGROUND_KINDS` -> recordings; without one it is not drawn"""


def corrupt_for_training(
    samples: Array, sample_rate: int, backgrounds: Backgrounds, group: str, rng: Generator
) -> Array:
    """Apply one effect of `TRAINING_EFFECTS`, its kind and its strength drawn at random.

    Args:
        samples: mono in -1..1, shape `[samples]`, at least one.
        sample_rate: Hz.
        backgrounds: kinds that need recordings are drawn only where there are some here.
        group: of the recording, whose other recordings are not put in its background.
        rng: draws everything.
    """
    kinds = [
        kind
        for kind in CORRUPTIONS
        if kind in backgrounds or not isinstance(TRAINING_EFFECTS[kind][0], Background)
    ]
    kind = kinds[rng.integers(len(kinds))]
    effects = TRAINING_EFFECTS[kind]
    effect = effects[rng.integers(len(effects))]
    if isinstance(effect, Background):
        return effect.mix(samples, backgrounds[kind].draw(effect.voices, rng, group), rng)
    return effect.apply(samples, sample_rate, rng)
