"""Embeddings: what the last linear layer reads, of shipped networks and of small graphs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.audio.network_inputs import network_input
from app.checkpoints import store
from app.inference.embedding import embedding_output
from app.inference.engine import OpenVinoEngine, openvino_core
from tests.support.sounds import make

STORE = Path(__file__).parents[4] / "models_store"


def test_the_last_layer_makes_the_logits_of_the_embedding() -> None:
    checkpoint = store.load(STORE, store.ModelKey("urban-sound", "hann"))
    clip = make("siren", 3, seconds=4.0)
    inputs = network_input(clip, checkpoint.card.input)[None]
    embedding = OpenVinoEngine(checkpoint.model, embeds=True).infer(inputs)
    assert embedding.shape == (1, 2048)
    graph = onnx.load(checkpoint.model).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    _, weight, bias = graph.node[-1].input
    expected = OpenVinoEngine(checkpoint.model).infer(inputs)
    np.testing.assert_allclose(embedding @ arrays[weight].T + arrays[bias], expected, atol=0.1)
    assert np.ptp(expected) > 1


def test_the_embedding_of_the_speech_encoder_is_the_hidden_layer_of_its_frozen_head() -> None:
    graph = openvino_core().read_model(STORE / "emotion" / "speech-encoder" / "model.onnx")
    output = embedding_output(graph)
    assert output.get_node().get_type_name() == "Gelu"
    assert output.get_partial_shape()[1].get_length() == 512


def test_a_network_without_a_linear_layer_has_none(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    shapes = [["batch", 2, "mels", "frames"], ["batch", 2]]
    x, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("x", "logits"), shapes, strict=True)
    )
    path = tmp_path / "model.onnx"
    graph = helper.make_graph(nodes, "mean", [x], [logits])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    with pytest.raises(ValueError, match="it has no linear layer"):
        OpenVinoEngine(path, embeds=True)
