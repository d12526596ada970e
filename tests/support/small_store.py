"""Checkpoints whose network hears the same in everything, made in a moment."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from app.checkpoints import store
from tests.support.cards import CARD, LABELS


def save_constant(root: Path, label: str, *, name: str = "hann", labels: int = len(LABELS)) -> None:
    """Write a checkpoint for urban-sound that answers `label` with `labels` logits."""
    _save(root, label, _constant(label, labels), name)


def save_endless(root: Path, label: str, *, name: str = "hann") -> None:
    """Write the same, with a network that goes on for ages before it answers."""
    graph = _constant(label, len(LABELS))
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["again"], ["again_out"]),
            helper.make_node("Cos", ["value"], ["value_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", len(LABELS)]),
        ],
        [
            helper.make_tensor_value_info("again_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, ["batch", len(LABELS)]),
        ],
    )
    graph.node[-1].output[0] = "first"
    graph.initializer.extend(
        [
            helper.make_tensor("steps", TensorProto.INT64, [], [2**31 - 1]),
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        ]
    )
    loop = helper.make_node("Loop", ["steps", "yes", "first"], ["logits"], body=body)
    graph.node.append(loop)
    _save(root, label, graph, name)


def _constant(label: str, labels: int) -> onnx.GraphProto:
    bias = np.zeros(labels, np.float32)
    bias[LABELS.index(label)] = 5
    return helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        ],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, "mels", "frames"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [
            helper.make_tensor("weights", TensorProto.FLOAT, [1, labels], [0.0] * labels),
            helper.make_tensor("bias", TensorProto.FLOAT, [labels], bias),
        ],
    )


def _save(root: Path, version: str, graph: onnx.GraphProto, name: str) -> None:
    model = root.with_suffix(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), model)
    card = CARD.model_copy(update={"name": name, "version": version})
    store.save(root, card, {store.MODEL: model})
