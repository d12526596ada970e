"""The graph of a speech ensemble: its statistics read, its frozen head replaced."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper
from torch import Tensor, nn

from training.networks.speech_ensemble import FrozenHead
from training.onnx_graphs import remove_unused, set_constant
from training.runs import RunError

_STATISTICS = "statistics"
_SMOOTH_QUANT = "smooth_quant"
_INT8_MAX = 127
_PARTS = ("Gemm", "LayerNormalization", "Gemm")
"""the nodes of a frozen head that have weights, in their order"""


class EnsembleGraph:
    """An ONNX graph of `SpeechEnsemble`, in fp32 or int8."""

    def __init__(self, path: Path) -> None:
        """Read the graph.

        Raises RunError when it has no frozen head.
        """
        self._model = onnx.load(path)
        if tuple(each.op_type for each in self._head) != _PARTS:
            raise RunError(f"{path} has no head on frozen layers; earshot fine-tune makes one")

    def write_statistics(self, path: Path) -> None:
        """Write the part of the graph that ends in the statistics that the head reads."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        name = self._unscaled(self._head[0].input[0])
        model.graph.node.append(helper.make_node("Identity", [name], [_STATISTICS]))
        del model.graph.output[:]
        model.graph.output.append(
            helper.make_tensor_value_info(_STATISTICS, onnx.TensorProto.FLOAT, None)
        )
        onnx.save(model, path)

    def replace_head(self, head: FrozenHead, *, int8: bool) -> None:
        """Replace the weights of the frozen head.

        Args:
            head: fitted, with as many outputs as the graph's head.
            int8: whether the first layer's weights are kept in 8 bits, a scale for each row.
        """
        first, normalisation = head.projection[0], head.projection[1]
        assert isinstance(first, nn.Linear)
        assert isinstance(normalisation, nn.LayerNorm)
        projection, layer_norm, linear = self._head
        projection.input[0] = self._unscaled(projection.input[0])
        linear.input[0] = self._unscaled(linear.input[0])
        weight = first.weight.detach().numpy()
        names = self._add_rows(weight) if int8 else self._add("head_projection", weight)
        projection.input[1:] = [names, self._add("head_projection_bias", first.bias.detach())]
        layer_norm.input[1:] = [
            self._add("head_norm", normalisation.weight.detach()),
            self._add("head_norm_bias", normalisation.bias.detach()),
        ]
        linear.input[1:] = [
            self._add("head_linear", head.linear.weight.detach()),
            self._add("head_linear_bias", head.linear.bias.detach()),
        ]
        remove_unused(self._model.graph)

    def save(self, path: Path) -> None:
        """Write the graph."""
        onnx.checker.check_model(self._model)
        onnx.save(self._model, path)

    @property
    def _head(self) -> list[NodeProto]:
        """The nodes of the head that have weights."""
        nodes = [each for each in self._model.graph.node if each.op_type in _PARTS]
        return nodes[-len(_PARTS) :]

    def _unscaled(self, tensor: str) -> str:
        """Return the name of what SmoothQuant scales, where `tensor` is that; or `tensor`."""
        made_by = self._producer(tensor)
        if made_by is not None and made_by.op_type == "Mul" and _SMOOTH_QUANT in made_by.name:
            return str(made_by.input[0])
        return tensor

    def _producer(self, tensor: str) -> NodeProto | None:
        return next((each for each in self._model.graph.node if tensor in each.output), None)

    def _add(self, name: str, values: NDArray[np.generic] | Tensor) -> str:
        return set_constant(self._model.graph, name, np.asarray(values))

    def _add_rows(self, weight: NDArray[np.float32]) -> str:
        """Add a matrix in 8 bits and the node that scales its rows; return what that is named."""
        scales = np.maximum(np.abs(weight).max(axis=1) / _INT8_MAX, np.finfo(np.float32).tiny)
        rounded = np.round(weight / scales[:, None]).astype(np.int8)
        inputs = [
            self._add("head_projection_int8", rounded),
            self._add("head_projection_scale", scales.astype(np.float32)),
        ]
        if (old := self._producer("head_projection_rows")) is not None:
            self._model.graph.node.remove(old)
        node = helper.make_node("DequantizeLinear", inputs, ["head_projection_rows"], axis=0)
        self._model.graph.node.insert(0, node)
        return "head_projection_rows"
