"""Checkpoints whose network hears the same in everything, made in a moment."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from app.checkpoints import store
from tests.support.cards import CARD, LABELS


def save_constant(root: Path, label: str, *, name: str = "hann", labels: int = len(LABELS)) -> None:
    """Write a checkpoint for urban-sound that answers `label` with `labels` logits."""
    bias = np.zeros(labels, np.float32)
    bias[LABELS.index(label)] = 5
    graph = helper.make_graph(
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
    model = root.with_suffix(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), model)
    card = CARD.model_copy(update={"name": name, "version": label})
    store.save(root, card, {store.MODEL: model})
