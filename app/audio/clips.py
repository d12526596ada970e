"""Waveforms, and the clips of fixed length that a network reads."""

from collections.abc import Iterable, Iterator
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

MIN_TAIL_FRACTION = 1 / 64
"""The fraction of a clip below which a recording's tail is no clip of its own.

It adds nothing that could be heard, and encoders pad what they encode by as much.
"""


class ClipConfig(BaseModel):
    """The clips that a recording is cut into."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sample_rate: int = Field(ge=4_000, le=192_000, description="Hz")
    clip_seconds: float = Field(ge=0.1, le=60, description="length of one clip")
    clip_hop_seconds: float = Field(
        ge=0.05, le=60, description="step between the clips of a long recording"
    )
    padding: Literal["repeat", "pad"] = Field(
        description="a recording shorter than a clip is repeated, or followed by zeros"
    )

    @model_validator(mode="after")
    def _clips_leave_no_gap(self) -> Self:
        if self.clip_hop_seconds > self.clip_seconds:
            raise ValueError("clip_hop_seconds must not be longer than clip_seconds")
        return self

    @property
    def clip_samples(self) -> int:
        """Samples in one clip."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def clip_hop_samples(self) -> int:
        """Samples between the starts of neighbouring clips of a long recording."""
        return max(1, round(self.clip_hop_seconds * self.sample_rate))


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
    """Return the first samples of the clips that cover a recording of `samples` samples.

    Clips lie `hop` apart; the last one ends with the recording, unless what is left is shorter
    than `MIN_TAIL_FRACTION` of a clip. No clip reaches beyond the recording.
    """
    if samples <= length:
        return [0]
    regular = list(range(0, samples - length + 1, hop))
    if _is_clip(samples - regular[-1] - length, length):
        regular.append(samples - length)
    return regular


def iter_clips(
    blocks: Iterable[NDArray[np.float32]],
    length: int,
    hop: int,
    padding: Literal["repeat", "pad"],
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cut a recording that comes in blocks into overlapping clips; see `clip_starts`.

    Holds little more than a clip and a block of it.

    Args:
        blocks: mono, each of shape `[samples]`, together not empty.
        length: samples in a clip.
        hop: samples between the starts of neighbours, at most `length`.
        padding: how a recording shorter than a clip is filled up.

    Yields:
        first sample of a clip, and the clip, shape `[length]`; at least one.
    """
    held = np.empty(0, np.float32)
    first = 0  # sample of the recording that `held` begins with
    start = 0  # of the next clip
    for block in blocks:
        held = np.concatenate([held, block]) if held.size else block
        while start + length <= first + held.size:
            yield start, held[start - first :][:length]
            start += hop
        # The last clip may have to begin anywhere after the one before.
        needless = max(0, start - hop - first)
        held, first = held[needless:], first + needless
    if start == 0:
        yield 0, pad_or_repeat(held, length, padding)
    elif _is_clip(first + held.size - (start - hop) - length, length):
        yield first + held.size - length, held[-length:]


def _is_clip(tail: int, length: int) -> bool:
    """Return whether so many samples behind the last regular clip get a clip of their own."""
    return tail >= length * MIN_TAIL_FRACTION
