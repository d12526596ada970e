"""Explanations: the evidence of one clip of a recording for one label."""

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from app.audio.clips import clip_starts, pad_or_repeat
from app.audio.log_mel import LogMelConfig
from app.audio.network_inputs import InputConfig, network_input
from app.checkpoints.card import Card
from app.checkpoints.store import Checkpoint
from app.inference.classifier import RecordingPrediction
from app.inference.evidence import (
    STRIDE,
    ClassActivationMapper,
    EvidenceMap,
    EvidenceMapper,
    OcclusionMapper,
)
from earshot.schemas import ExplanationMethod

_FRAMES_PER_SECOND = 100
"""of the picture of a waveform"""


class ClipNumberError(ValueError):
    """The recording has no such clip; the message says which it has."""

    problem_type: ClassVar[str] = "invalid-parameter"


@dataclass(frozen=True)
class ClipExplanation:
    """The evidence of one clip of a recording for one label."""

    label: int
    """index into the card's labels"""
    clip: int
    """index into the clips of the recording"""
    start: int
    """the clip's first sample"""
    samples: NDArray[np.float32]
    """of the clip, shape `[clip_samples]`"""
    probability: float
    """of the label in this clip, calibrated"""
    method: ExplanationMethod
    evidence: EvidenceMap
    """of the label"""


def make_mapper(checkpoint: Checkpoint) -> EvidenceMapper:
    """Compile what maps the evidence of a checkpoint's network.

    Raises RuntimeError when OpenVINO cannot read or compile it.
    """
    config = checkpoint.card.input
    if isinstance(config, LogMelConfig):
        with suppress(ValueError):
            return ClassActivationMapper(checkpoint.model)
    return OcclusionMapper(checkpoint.model, _strides(config))


def explain_clip(
    card: Card,
    prediction: RecordingPrediction,
    mapper: EvidenceMapper,
    *,
    label: int | None,
    clip: int | None,
) -> ClipExplanation:
    """Explain the evidence of one clip for a label.

    Args:
        card: of the checkpoint that predicted.
        prediction: for the recording, with its samples.
        mapper: of the same checkpoint.
        label: index of the label to explain; `None` for the most probable.
        clip: index of the clip to explain; `None` for the one where the label is most probable.

    Raises:
        ClipNumberError: the recording has fewer clips.
    """
    config, samples = card.input, prediction.samples
    assert samples is not None, "the prediction was made without samples"
    chosen = int(prediction.probabilities.argmax()) if label is None else label
    scores = prediction.clips.probabilities[:, chosen]
    if clip is None:
        clip = int(scores.argmax())
    elif clip >= len(scores):
        raise ClipNumberError(f"the recording has the clips 1 to {len(scores)}, got {clip + 1}")
    padded = pad_or_repeat(samples, config.clip_samples, config.padding)
    start = clip_starts(padded.size, config.clip_samples, config.clip_hop_samples)[clip]
    of_clip = padded[start : start + config.clip_samples]
    return ClipExplanation(
        label=chosen,
        clip=clip,
        start=start,
        samples=of_clip,
        probability=float(scores[clip]),
        method=mapper.method,
        evidence=mapper.map(network_input(of_clip, config), chosen),
    )


def picture_config(config: InputConfig) -> LogMelConfig:
    """Return parameters of the spectrogram that a clip's evidence is drawn over.

    It is the network's own where it reads one. Place `i` of a map lies on frame `STRIDE * i`.
    """
    if isinstance(config, LogMelConfig):
        return config
    rate = config.sample_rate
    return LogMelConfig(
        **config.model_dump(exclude={"kind"}),
        n_fft=2 * (rate // _FRAMES_PER_SECOND),
        hop_length=rate // _FRAMES_PER_SECOND,
        window="hann",
        n_mels=64,
        fmin=0.0,
        fmax=rate / 2,
        amin=1e-10,
        top_db=80.0,
        normalisation="none",
    )


def _strides(config: InputConfig) -> tuple[int, ...]:
    """Return the distance of neighbouring places along the axes of a network's input."""
    if isinstance(config, LogMelConfig):
        return (STRIDE, STRIDE)
    return (STRIDE * picture_config(config).hop_length,)
