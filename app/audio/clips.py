"""Waveforms, and the clips of fixed length that a network reads."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from app.audio.log_mel import LogMelConfig, log_mel

SILENCE_DBFS = -80.0
"""Samples that swing by less than this level, in dB of full scale, are silent."""
_SILENCE = 10 ** (SILENCE_DBFS / 20)

MIN_TAIL_FRACTION = 1 / 64
"""The fraction of a clip below which a recording's tail is no clip of its own.

It adds nothing that could be heard, and encoders pad what they encode by as much.
"""

# Each part of a clip may be silent. Where a sound begins or ends, resampling leaves traces in the
# silence beside it; a few parts away there are none.
_PARTS = 8


def is_silent(lowest: float, highest: float) -> bool:
    """Return whether samples between these two, full scale being +-1, cannot be heard.

    A constant level, as some microphones add, is no sound.
    """
    return (highest - lowest) / 2 < _SILENCE


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


@dataclass(frozen=True)
class ClipBlock:
    """Neighbouring clips of a recording as a network reads them."""

    starts: list[float]
    """seconds from the recording's beginning"""
    spectrograms: NDArray[np.float32]
    """shape `[clips, 1, n_mels, frames]`"""
    silent: NDArray[np.bool_]
    """whether nothing can be heard in a clip, shape `[clips]`"""
    partially_silent: NDArray[np.bool_]
    """whether an eighth of a clip or more, but not all of it, is silent, shape `[clips]`"""
    last: bool
    """whether the recording ends with these"""

    def without_spectrograms(self) -> Self:
        """Return the same block with `spectrograms` of no clips, so that they can be freed."""
        return replace(self, spectrograms=self.spectrograms[:0].copy())


def clip_blocks(
    blocks: Iterable[NDArray[np.float32]], config: LogMelConfig, *, clips: int
) -> Iterator[ClipBlock]:
    """Cut a recording into clips and compute their spectrograms, `clips` at a time.

    Args:
        blocks: mono at `config.sample_rate`, each of shape `[samples]`, together not empty.
        config: length and hop of clips, and parameters of spectrograms.
        clips: in each block but the last, at least 1.
    """
    pieces = iter_clips(blocks, config.clip_samples, config.clip_hop_samples, config.padding)
    batch = list(islice(pieces, clips))
    while batch:
        starts = [start / config.sample_rate for start, _ in batch]
        spectrograms = np.stack([log_mel(clip, config) for _, clip in batch])[:, None]
        silent, partially_silent = np.array([_silence(clip) for _, clip in batch]).T
        # One that is not full is the last: a short recording is known to end without asking.
        batch = list(islice(pieces, clips)) if len(batch) == clips else []
        yield ClipBlock(starts, spectrograms, silent, partially_silent, last=not batch)


def _silence(clip: NDArray[np.float32]) -> tuple[bool, bool]:
    """Return whether all of a clip is silent, and whether only a part of it is."""
    edges = np.arange(_PARTS) * clip.size // _PARTS
    lows, highs = np.minimum.reduceat(clip, edges), np.maximum.reduceat(clip, edges)
    silent = is_silent(lows.min(), highs.max())
    return silent, not silent and any(map(is_silent, lows, highs))
