"""Cutting a recording into the fixed lengths that a network reads."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def fill(
    samples: NDArray[np.float32], length: int, how: Literal["repeat", "pad"]
) -> NDArray[np.float32]:
    """Bring a recording shorter than `length` to it, by repetition or with zeros behind.

    Raises ValueError when `samples` is empty.
    """
    if samples.size == 0:
        raise ValueError("an empty recording cannot fill a clip")
    if samples.size >= length:
        return samples
    if how == "repeat":
        return np.resize(samples, length)
    return np.pad(samples, (0, length - samples.size))


def starts(samples: int, length: int, hop: int) -> list[int]:
    """First samples of the clips that cover a recording of `samples` samples.

    Clips lie `hop` apart; the last one ends with the recording, so nothing is left out
    and nothing but the recording is read.
    """
    if samples <= length:
        return [0]
    regular = list(range(0, samples - length + 1, hop))
    if regular[-1] + length < samples:
        regular.append(samples - length)
    return regular


def cut(
    samples: NDArray[np.float32], length: int, hop: int, how: Literal["repeat", "pad"]
) -> list[NDArray[np.float32]]:
    """Cut a recording into overlapping clips of `length` samples, `hop` apart.

    Args:
        samples: mono, shape `[samples]`, not empty.
        length: samples in a clip.
        hop: samples between the starts of neighbours.
        how: what to do with a recording shorter than a clip.

    Returns:
        at least one clip, each a view of shape `[length]` where the recording is long enough.
    """
    filled = fill(samples, length, how)
    return [filled[start : start + length] for start in starts(filled.size, length, hop)]
