"""The file of a student: samples in, probabilities out, and its card's facts beside the graph."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import compose, helper

from app.audio.log_mel import LogMelConfig
from app.checkpoints import store
from app.checkpoints.store import Checkpoint
from training.edge.front_end import SPECTROGRAM, WAVEFORM, front_end
from training.graph_metadata import runtime_facts
from training.networks import EDGE_NETWORKS
from training.onnx_graphs import set_constant

LOGITS, PROBABILITIES = "logits", "probabilities"
TEMPERATURE = "temperature"
_KEPT_NAMES = frozenset({WAVEFORM, SPECTROGRAM, LOGITS, PROBABILITIES, TEMPERATURE})


def assemble(network: Path, config: LogMelConfig, labels: int, path: Path) -> None:
    """Write a graph that reads samples and gives probabilities.

    Args:
        network: a graph that maps spectrograms to logits, and perhaps an OOD score behind them.
        config: of the spectrograms.
        labels: how many of its outputs are logits.
        path: file to write. Its outputs are `LOGITS`, as `network` gives them, and
            `PROBABILITIES` `[batch, labels]`, the softmax of logits over `TEMPERATURE`.
    """
    body = onnx.load(network)
    opset = next(each.version for each in body.opset_import if each.domain == "")
    front = front_end(config, opset, body.ir_version)
    body = compose.add_prefix(body, "network_")
    for output in body.graph.output:
        _rename(body.graph, output.name, LOGITS)
    model = compose.merge_models(
        compose.add_prefix(front, "front_"),
        body,
        io_map=[(f"front_{SPECTROGRAM}", body.graph.input[0].name)],
        producer_name="earshot",
    )
    graph = model.graph
    _rename(graph, f"front_{WAVEFORM}", WAVEFORM)
    _rename(graph, f"front_{SPECTROGRAM}", SPECTROGRAM)
    set_constant(graph, TEMPERATURE, np.float32(1))
    for name, value in (("first_label", 0), ("last_label", labels), ("label_axis", 1)):
        set_constant(graph, name, [value])
    graph.node.extend(
        [
            helper.make_node(
                "Slice", [LOGITS, "first_label", "last_label", "label_axis"], ["of_labels"]
            ),
            helper.make_node("Div", ["of_labels", TEMPERATURE], ["calibrated"]),
            helper.make_node("Softmax", ["calibrated"], [PROBABILITIES], axis=1),
        ]
    )
    graph.output.append(
        helper.make_tensor_value_info(PROBABILITIES, onnx.TensorProto.FLOAT, ["batch", labels])
    )
    _shorten(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def embed_card(checkpoint: Checkpoint) -> Checkpoint:
    """Write what a runtime needs of a student's card into its graph; leave others as they are.

    Whoever has the file alone gets the probabilities, the refusals and the words of the service.
    The version stays: the weights do.

    Raises CheckpointError when the store cannot be written.
    """
    card = checkpoint.card
    if card.network not in EDGE_NETWORKS:
        return checkpoint
    model = onnx.load(checkpoint.model)
    set_constant(model.graph, TEMPERATURE, np.array(card.temperature, np.float32))
    helper.set_model_props(model, runtime_facts(card))
    root = checkpoint.folder.parent.parent
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / store.MODEL
        onnx.save(model, path)
        return store.save(root, card, {store.MODEL: path})


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for names in _tensor_names(graph):
        for place, name in enumerate(names):
            if name == old:
                names[place] = new
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        if value.name == old:
            value.name = new


def _tensor_names(graph: onnx.GraphProto) -> Iterator[list[str]]:
    for node in graph.node:
        yield node.input
        yield node.output


def _shorten(model: onnx.ModelProto) -> None:
    """Leave out all text that runtimes do without: of a small file, names are a third."""
    graph = model.graph
    for field in ("value_info", "metadata_props"):
        graph.ClearField(field)
    graph.ClearField("doc_string")
    model.ClearField("metadata_props")
    short: dict[str, str] = {name: name for name in ("", *_KEPT_NAMES)}
    for names in _tensor_names(graph):
        for place, name in enumerate(names):
            names[place] = short.setdefault(name, _number(len(short)))
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
        tensor.ClearField("doc_string")
    for node in graph.node:
        for field in ("name", "doc_string", "metadata_props"):
            node.ClearField(field)


def _number(number: int) -> str:
    """Return a short name, in base 36."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    name = ""
    while number:
        number, digit = divmod(number, len(digits))
        name += digits[digit]
    return name
