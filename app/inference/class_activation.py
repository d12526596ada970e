"""Class activation maps: which places of a spectrogram speak for a label.

Zhou, Khosla, Lapedriza, Oliva and Torralba, "Learning deep features for discriminative
localization", CVPR 2016. Where a network ends in a mean over places (global average pooling) and
a linear layer, a label's logit is a bias plus the mean over places of
`sum_k weight[label, k] * feature[k, place]`: that sum is the evidence of a place for the label.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import openvino
from numpy.typing import NDArray

from app.audio.clips import clip_starts, pad_or_repeat
from app.audio.log_mel import log_mel
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import DamagedCheckpointError, ModelKey, key_of
from app.inference.classifier import RecordingPrediction

STRIDE = 32
"""Place `i` of a map is centred on mel band or frame `STRIDE * i`: ResNet halves five times, with
kernels of odd length around the samples that it keeps."""


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
    map: NDArray[np.float32]
    """the label's class activation map; see `ClassActivationMapper.maps`"""
    bias: float
    """the difference between the map's mean and the logit"""


class ClassActivationMapper:
    """A network compiled up to its last feature map. Safe to call from many threads."""

    def __init__(self, model: Path) -> None:
        """Compile the ONNX file `model`.

        Raises:
            RuntimeError: OpenVINO cannot read or compile it.
            ValueError: it does not end in a mean over places and a linear layer.
        """
        core = openvino.Core()
        graph = core.read_model(model)
        mean = _last(graph, "ReduceMean")
        linear = _last(graph, "MatMul")
        add = _last(graph, "Add")
        # A graph without inputs: OpenVINO computes the weights from their int8 constants.
        constants = openvino.Model([linear.input_value(1), add.input_value(1)], [], "head")
        weights, bias = core.compile_model(constants, "CPU")([]).to_tuple()
        transposed = linear.get_attributes()["transpose_b"]
        self._weights: NDArray[np.float32] = (weights if transposed else weights.T).copy()
        self.bias: NDArray[np.float32] = bias.ravel().copy()
        """the part of each output that no place explains, shape `[Card.output_size]`"""
        backbone = openvino.Model([mean.input_value(0)], graph.get_parameters(), "backbone")
        self._backbone = core.compile_model(backbone, "CPU")
        self._running = threading.Lock()
        features = self._backbone.output(0).partial_shape
        if self._weights.shape != (self.bias.size, features[1].get_length()):
            raise ValueError("its linear layer does not read the mean of its last feature map")

    def maps(self, spectrogram: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the class activation map of each output: of the labels, then of the OOD score.

        Args:
            spectrogram: of one clip, as the network reads it, shape `[n_mels, frames]`.

        Returns:
            shape `[outputs, ceil(n_mels / STRIDE), ceil(frames / STRIDE)]`. The mean of an
            output's map plus its `bias` is that output, up to int8 rounding.
        """
        with self._running:
            features = self._backbone([spectrogram[None, None]])[0][0]
            maps: NDArray[np.float32] = np.tensordot(self._weights, features, axes=1)
        return maps


class CamCache:
    """A `ClassActivationMapper` for each checkpoint, compiled when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._compiled: dict[ModelKey, tuple[Card, ClassActivationMapper]] = {}
        self._compiling = threading.Lock()

    def get(self, card: Card) -> ClassActivationMapper:
        """Return the mapper of the checkpoint with this card.

        Raises:
            MissingCheckpointError, DamagedCheckpointError: the store no longer holds it as it
                was, or its network is of a kind that has no class activation maps.
        """
        key = key_of(card)
        with self._compiling:
            compiled, mapper = self._compiled.get(key, (None, None))
            if mapper is None or compiled is None or not _is_same_network(compiled, card):
                mapper = self._compile(card)
                self._compiled[key] = (card, mapper)
            return mapper

    def forget(self, key: ModelKey) -> None:
        """Release the mapper of a checkpoint that serves no longer."""
        with self._compiling:
            self._compiled.pop(key, None)

    def _compile(self, card: Card) -> ClassActivationMapper:
        key = key_of(card)
        checkpoint = store.load(self._root, key)
        if not _is_same_network(checkpoint.card, card):
            raise DamagedCheckpointError(
                f"{key}: the store now holds version {checkpoint.card.version}, "
                f"this server answers with {card.version} until it is told to reload"
            )
        try:
            return ClassActivationMapper(checkpoint.model)
        except (RuntimeError, ValueError) as error:
            raise DamagedCheckpointError(
                f"{key}: {store.MODEL} has no class activation maps: {str(error).splitlines()[0]}"
            ) from error


def explain_clip(
    card: Card,
    prediction: RecordingPrediction,
    mapper: ClassActivationMapper,
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
        map=mapper.maps(log_mel(of_clip, config))[chosen],
        bias=float(mapper.bias[chosen]),
    )


def _is_same_network(one: Card, other: Card) -> bool:
    """Return whether two cards are of the same network; metrics may have been added."""
    return (one.version, one.files) == (other.version, other.files)


def _last(graph: openvino.Model, kind: str) -> openvino.Node:
    nodes = [node for node in graph.get_ordered_ops() if node.get_type_name() == kind]
    if not nodes:
        raise ValueError(f"it has no {kind}")
    return nodes[-1]
