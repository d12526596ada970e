"""Cutting a recording into the fixed lengths that a network reads."""

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Of a clip: a rest that is shorter adds nothing that could be heard. Encoders pad what they
# encode by as much, and 4 s of sound would be two clips.
MIN_TAIL_FRACTION = 1 / 64


def pad_or_repeat(
    samples: NDArray[np.float32], length: int, padding: Literal["repeat", "pad"]
) -> NDArray[np.float32]:
    """Bring a recording shorter than `length` to it, by repetition or with zeros behind.

    Raises ValueError when `samples` is empty.
    """
    if samples.size == 0:
        raise ValueError("an empty recording cannot fill a clip")
    if samples.size >= length:
        return samples
    if padding == "repeat":
        return np.resize(samples, length)
    return np.pad(samples, (0, length - samples.size))


def clip_starts(samples: int, length: int, hop: int) -> list[int]:
    """First samples of the clips that cover a recording of `samples` samples.

    Clips lie `hop` apart; the last one ends with the recording, unless what is left is shorter
    than a 64th of a clip. Nothing but the recording is read.
    """
    if samples <= length:
        return [0]
    regular = list(range(0, samples - length + 1, hop))
    if _is_long_enough(samples - regular[-1] - length, length):
        regular.append(samples - length)
    return regular


def iter_clips(
    blocks: Iterable[NDArray[np.float32]], length: int, hop: int, padding: Literal["repeat", "pad"]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cut a recording that comes in blocks into overlapping clips; see `clip_starts`.

    Holds little more than a clip and a block of it.

    Args:
        blocks: mono, each of shape `[samples]`, together not empty.
        length: samples in a clip.
        hop: samples between the starts of neighbours, at most `length`.
        padding: what to do with a recording shorter than a clip.

    Yields:
        first sample of a clip, and the clip, shape `[length]`; at least one.
    """
    held = np.empty(0, np.float32)
    first = 0  # sample of the recording that `held` begins with
    following = 0  # start of the next clip
    for block in blocks:
        held = np.concatenate([held, block]) if held.size else block
        while following + length <= first + held.size:
            yield following, held[following - first :][:length]
            following += hop
        # The last clip may have to begin anywhere after the one before.
        needless = max(0, following - hop - first)
        held, first = held[needless:], first + needless
    if following == 0:
        yield 0, pad_or_repeat(held, length, padding)
    elif _is_long_enough(first + held.size - (following - hop) - length, length):
        yield first + held.size - length, held[-length:]


def _is_long_enough(samples: int, length: int) -> bool:
    """Whether so many samples behind the last regular clip are worth another one."""
    return samples >= length * MIN_TAIL_FRACTION
