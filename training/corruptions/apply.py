"""Apply one corruption to one recording."""

import hashlib

import numpy as np

from training.corruptions import CORRUPTIONS, SEVERITIES, CorruptionKind
from training.corruptions.backgrounds import BackgroundError, BackgroundPool, CorruptionError
from training.corruptions.effects import Array, Background
from training.corruptions.severities import TEST_EFFECTS


def corrupt(
    samples: Array,
    sample_rate: int,
    kind: CorruptionKind,
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
        CorruptionError: the kind or the severity is unknown, the samples are empty, or there are
            no backgrounds for a kind that needs them, or all of them are of `group`.
    """
    if kind not in CORRUPTIONS:
        raise CorruptionError(f"unknown kind {kind!r}; there are {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise CorruptionError(f"unknown severity {severity}; there are 1, 2 and 3")
    if samples.size == 0:
        raise CorruptionError("the recording has no samples")
    effect = TEST_EFFECTS[kind][severity - 1]
    digest = hashlib.sha256(f"{seed}/{kind}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    if not isinstance(effect, Background):
        return effect.apply(samples, sample_rate, rng)
    if backgrounds is None:
        raise BackgroundError(f"the kind {kind} needs recordings to put in the background")
    return effect.mix(samples, backgrounds.draw(effect.voices, rng, group), rng)
