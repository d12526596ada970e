"""A recording as the network reads it: spectrograms of its clips, a block at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from app.audio.clips import iter_clips
from app.audio.log_mel import LogMelConfig, log_mel
from app.audio.silence import is_silent

# Of a clip, each of which may be silent. Where a sound begins or ends, resampling leaves traces in
# the silence beside it; a few parts away there are none.
_PARTS = 8


@dataclass(frozen=True)
class ClipBlock:
    """Neighbouring clips of a recording."""

    starts: list[float]
    """seconds from the recording's beginning"""
    spectrograms: NDArray[np.float32]
    """shape `[clips, 1, n_mels, frames]`"""
    silent: NDArray[np.bool_]
    """whether nothing can be heard in a clip, shape `[clips]`"""
    gaps: NDArray[np.bool_]
    """whether there is something to be heard in a clip, and nothing in an eighth of it or more,
    shape `[clips]`"""
    last: bool
    """whether the recording ends with these"""


def clip_blocks(
    blocks: Iterable[NDArray[np.float32]], config: LogMelConfig, *, clips: int
) -> Iterator[ClipBlock]:
    """Cut a recording into clips and take their spectrograms, `clips` at a time.

    Args:
        blocks: mono at `config.sample_rate`, each of shape `[samples]`, together not empty.
        config: how a clip is cut and heard.
        clips: in each block but the last, at least 1.
    """
    cuts = iter_clips(blocks, config.clip_samples, config.clip_hop_samples, config.padding)
    here = list(islice(cuts, clips))
    while here:
        starts = [start / config.sample_rate for start, _ in here]
        spectrograms = np.stack([log_mel(clip, config) for _, clip in here])[:, None]
        silent, gaps = np.array([_silence(clip) for _, clip in here]).T
        # One that is not full is the last: a short recording is known to end without asking.
        here = list(islice(cuts, clips)) if len(here) == clips else []
        yield ClipBlock(starts, spectrograms, silent, gaps, last=not here)


def _silence(clip: NDArray[np.float32]) -> tuple[bool, bool]:
    """Whether all of a clip is silent, and whether only a part of it is."""
    edges = np.arange(_PARTS) * clip.size // _PARTS
    lows, highs = np.minimum.reduceat(clip, edges), np.maximum.reduceat(clip, edges)
    silent = is_silent(lows.min(), highs.max())
    return silent, not silent and any(map(is_silent, lows, highs))
