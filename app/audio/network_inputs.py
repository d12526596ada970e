"""What a network reads of a clip: its log-mel spectrogram, or its samples."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.audio.clips import ClipConfig, iter_clips
from app.audio.log_mel import LogMelConfig, log_mel
from app.audio.silence import is_silent

# Each part of a clip may be silent. Where a sound begins or ends, resampling leaves traces in the
# silence beside it; a few parts away there are none.
_PARTS = 8


class WaveformConfig(ClipConfig):
    """A network that reads samples: wav2vec 2.0 and its kin have a front end of their own."""

    kind: Literal["waveform"] = "waveform"

    @classmethod
    def of_clips(cls, config: ClipConfig) -> Self:
        """Return the input of a network whose clips are those of another."""
        return cls(**config.model_dump(include=set(ClipConfig.model_fields)))


InputConfig = Annotated[LogMelConfig | WaveformConfig, Field(discriminator="kind")]
"""The input of a network, as its card describes it"""


def input_shape(config: InputConfig) -> tuple[int, ...]:
    """Return the shape of what `network_input` returns for a clip."""
    if isinstance(config, LogMelConfig):
        return (1, config.n_mels, config.frames)
    return (config.clip_samples,)


def network_input(clip: NDArray[np.float32], config: InputConfig) -> NDArray[np.float32]:
    """Return what a network reads of a clip of `config.clip_samples` samples, without a batch.

    That is its log-mel spectrogram `[1, n_mels, frames]`, or the samples in -1..1, `[samples]`.
    """
    return log_mel(clip, config)[None] if isinstance(config, LogMelConfig) else clip


@dataclass(frozen=True)
class ClipBlock:
    """Neighbouring clips of a recording as a network reads them."""

    starts: list[float]
    """seconds from the recording's beginning"""
    inputs: NDArray[np.float32]
    """of each clip; see `network_input`"""
    silent: NDArray[np.bool_]
    """whether nothing can be heard in a clip, shape `[clips]`"""
    partially_silent: NDArray[np.bool_]
    """whether an eighth of a clip or more, but not all of it, is silent, shape `[clips]`"""
    last: bool
    """whether the recording ends with these"""

    def without_inputs(self) -> Self:
        """Return the same block with `inputs` of no clips, so that they can be freed."""
        return replace(self, inputs=self.inputs[:0].copy())


def clip_blocks(
    blocks: Iterable[NDArray[np.float32]], config: InputConfig, *, clips: int
) -> Iterator[ClipBlock]:
    """Cut a recording into clips and compute the inputs of a network, `clips` at a time.

    Args:
        blocks: mono at `config.sample_rate`, each of shape `[samples]`, together not empty.
        config: of the network's input.
        clips: in each block but the last, at least 1.
    """
    pieces = iter_clips(blocks, config.clip_samples, config.clip_hop_samples, config.padding)
    batch = list(islice(pieces, clips))
    while batch:
        starts = [start / config.sample_rate for start, _ in batch]
        inputs = np.stack([network_input(clip, config) for _, clip in batch])
        silent, partially_silent = np.array([_silence(clip) for _, clip in batch]).T
        # One that is not full is the last: a short recording is known to end without asking.
        batch = list(islice(pieces, clips)) if len(batch) == clips else []
        yield ClipBlock(starts, inputs, silent, partially_silent, last=not batch)


def _silence(clip: NDArray[np.float32]) -> tuple[bool, bool]:
    """Return whether all of a clip is silent, and whether only a part of it is."""
    edges = np.arange(_PARTS) * clip.size // _PARTS
    lows, highs = np.minimum.reduceat(clip, edges), np.maximum.reduceat(clip, edges)
    silent = is_silent(lows.min(), highs.max())
    return silent, not silent and any(map(is_silent, lows, highs))
