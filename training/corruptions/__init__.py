"""Corruptions of recordings as they happen outdoors: nine kinds, each in three severities.

They measure how a checkpoint holds, as ImageNet-C does for pictures (Hendrycks and Dietterich,
ICLR 2019). What is random in one depends on the recording's name, the kind and the seed alone:
its severities differ by strength and by nothing else.
"""

import hashlib

import numpy as np

from training.corruptions.backgrounds import BackgroundError, BackgroundPool
from training.corruptions.effects import Array, Background
from training.corruptions.severities import KINDS, SEVERITIES, TEST_EFFECTS, Kind

__all__ = [
    "BACKGROUND_KINDS",
    "KINDS",
    "SEVERITIES",
    "BackgroundError",
    "BackgroundPool",
    "Kind",
    "corrupt",
]

BACKGROUND_KINDS = tuple(
    kind for kind in KINDS if any(isinstance(each, Background) for each in TEST_EFFECTS[kind])
)
"""kinds that need recordings of other sounds"""


def corrupt(
    samples: Array,
    sample_rate: int,
    kind: Kind,
    severity: int,
    *,
    name: str,
    seed: int = 0,
    backgrounds: BackgroundPool | None = None,
    group: str | None = None,
) -> Array:
    """Return a corrupted recording, as long as before except where the kind is `tempo`.

    Args:
        samples: mono in -1..1, shape `[samples]`, at least one.
        sample_rate: Hz.
        kind: of the corruption.
        severity: 1, 2 or 3.
        name: of the recording's file.
        seed: of everything random, together with `name` and `kind`.
        backgrounds: for the kinds of `BACKGROUND_KINDS`, at the same sample rate.
        group: of the recording, whose other recordings are not put in its background.

    Raises:
        ValueError: the kind or the severity is unknown, the samples are empty, or there are no
            backgrounds for a kind that needs them; the message says what is accepted.
        BackgroundError: all backgrounds are of `group`.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"unknown severity {severity}; there are 1, 2 and 3")
    if samples.size == 0:
        raise ValueError("the recording has no samples")
    effect = TEST_EFFECTS[kind][severity - 1]
    digest = hashlib.sha256(f"{seed}/{kind}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    if not isinstance(effect, Background):
        return effect.apply(samples, sample_rate, rng)
    if backgrounds is None:
        raise ValueError(f"the kind {kind} needs recordings to put in the background")
    return effect.mix(samples, backgrounds.draw(effect.voices, rng, group), rng)
