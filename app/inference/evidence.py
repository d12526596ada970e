"""Evidence maps: which places of a clip's spectrogram speak for a label.

The mean over a map plus its bias is the label's logit. Where a network ends in a mean over places
(global average pooling) and a linear layer, `ClassActivationMapper` reads a map out of it; of any
other network `OcclusionMapper` asks what it makes of the clip without each place.
"""

import math
import threading
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import openvino
from numpy.typing import NDArray

from app.inference.engine import MAX_BATCH_SIZE, OpenVinoEngine, openvino_core
from earshot.schemas import ExplanationMethod

STRIDE = 32
"""Place `i` of a map is centred on mel band or frame `STRIDE * i`: ResNet halves five times, with
kernels of odd length around the samples that it keeps."""


@dataclass(frozen=True)
class EvidenceMap:
    """The evidence of the places of one clip for one output."""

    values: NDArray[np.float32]
    """shape `[ceil(n_mels / STRIDE), ceil(frames / STRIDE)]`; of a waveform, one row"""
    bias: float
    """the difference between the output and the mean of `values`"""


class EvidenceMapper(Protocol):
    """Makes evidence maps of one network's outputs. Safe to call from many threads."""

    method: ClassVar[ExplanationMethod]

    def map(self, clip: NDArray[np.float32], output: int) -> EvidenceMap:
        """Compute the map of an output for one clip; see `network_input`."""
        ...


class ClassActivationMapper:
    """A network compiled up to its last feature map.

    A logit is a bias plus the mean over places of `sum_k weight[label, k] * feature[k, place]`:
    that sum is the evidence of a place (Zhou, Khosla, Lapedriza, Oliva and Torralba, "Learning
    deep features for discriminative localization", CVPR 2016). The mean of the map plus the bias
    is the logit up to int8 rounding.
    """

    method: ClassVar[ExplanationMethod] = "class-activation"

    def __init__(self, model: Path) -> None:
        """Compile the ONNX file `model`.

        Raises:
            RuntimeError: OpenVINO cannot read or compile it.
            ValueError: it does not end in a mean over places and a linear layer.
        """
        core = openvino_core()
        graph = core.read_model(model)
        mean = _last(graph, "ReduceMean")
        linear = _last(graph, "MatMul")
        add = _last(graph, "Add")
        if _pooled(linear) != mean.output(0):
            raise ValueError("its linear layer does not read the mean of its last feature map")
        backbone = openvino.Model([mean.input_value(0)], graph.get_parameters(), "backbone")
        features = backbone.output(0).partial_shape
        if features.rank.get_length() != _FEATURE_MAP_RANK:
            raise ValueError("its last mean is not over the places of a feature map")
        # A graph without inputs: OpenVINO computes the weights from their int8 constants.
        constants = openvino.Model([linear.input_value(1), add.input_value(1)], [], "head")
        weights, bias = core.compile_model(constants, "CPU")([]).to_tuple()
        transposed = linear.get_attributes()["transpose_b"]
        self._weights: NDArray[np.float32] = (weights if transposed else weights.T).copy()
        self._bias: NDArray[np.float32] = bias.ravel().copy()
        self._backbone = core.compile_model(backbone, "CPU")
        self._running = threading.Lock()

    def map(self, clip: NDArray[np.float32], output: int) -> EvidenceMap:
        """See `EvidenceMapper.map`."""
        with self._running:
            features = self._backbone([clip[None]])[0][0]
            values: NDArray[np.float32] = np.tensordot(self._weights[output], features, axes=1)
        return EvidenceMap(values, float(self._bias[output]))


class OcclusionMapper:
    """A network that is asked again without each place of the clip.

    The evidence of a place is by how much the output falls where the place is at the clip's mean
    level (Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014).
    """

    method: ClassVar[ExplanationMethod] = "occlusion"

    def __init__(self, model: Path, strides: tuple[int, ...]) -> None:
        """Compile a network.

        Args:
            model: the ONNX file.
            strides: from place to place, along each of the last axes of its input.

        Raises RuntimeError when OpenVINO cannot read or compile it.
        """
        self._engine = OpenVinoEngine(model)
        self._strides = strides

    def map(self, clip: NDArray[np.float32], output: int) -> EvidenceMap:
        """See `EvidenceMapper.map`."""
        sizes = clip.shape[-len(self._strides) :]
        axes = [_places(*each) for each in zip(sizes, self._strides, strict=True)]
        clips = np.repeat(clip[None], 1 + math.prod(map(len, axes)), axis=0)
        for occluded, place in zip(clips[1:], product(*axes), strict=True):
            occluded[..., *place] = clip.mean()
        outputs = np.concatenate(
            [
                self._engine.infer(clips[start : start + MAX_BATCH_SIZE])[:, output]
                for start in range(0, len(clips), MAX_BATCH_SIZE)
            ]
        )
        values = (outputs[0] - outputs[1:]).reshape(-1, len(axes[-1]))
        return EvidenceMap(values, float(outputs[0] - values.mean()))


_FEATURE_MAP_RANK = 4
"""batch, features, bands, frames"""


def _places(size: int, stride: int) -> list[slice]:
    """Return the part of an axis that is around each place."""
    half = stride // 2
    return [slice(max(0, centre - half), centre + half) for centre in range(0, size, stride)]


def _pooled(linear: openvino.Node) -> openvino.Output:
    """Return what a linear layer reads, but for its shape."""
    source = linear.input_value(0)
    while source.get_node().get_type_name() in ("Reshape", "Squeeze"):
        source = source.get_node().input_value(0)
    return source


def _last(graph: openvino.Model, kind: str) -> openvino.Node:
    nodes = [node for node in graph.get_ordered_ops() if node.get_type_name() == kind]
    if not nodes:
        raise ValueError(f"it has no {kind}")
    return nodes[-1]
