"""The backbone: a checkpoint's network up to its embedding, to read and to put a head on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from rich.progress import track

from app.audio.network_inputs import clip_blocks
from app.checkpoints.store import Checkpoint, CheckpointError
from app.decoding.errors import AudioError
from app.decoding.recording import RecordingReader
from app.inference.embedding import embedding_output
from app.inference.engine import MAX_BATCH_SIZE, OpenVinoEngine, openvino_core
from training.clip_outputs import map_in_threads
from training.linear_probe.head import ProbeHead
from training.onnx_graphs import remove_unused, set_constant

_OUTPUT = "logits"
_PREFIX = "probe_"


@dataclass(frozen=True)
class EmbeddedRecording:
    """The embeddings of the clips of one file in which something can be heard."""

    clips: NDArray[np.float32]
    """shape `[clips, features]`; none where all is silent"""
    digest: str
    """of the samples: equal for files that hold the same audio"""


class Backbone:
    """The network of a checkpoint up to its embedding, on the CPU."""

    def __init__(self, checkpoint: Checkpoint, reader: RecordingReader) -> None:
        """Compile the network.

        Raises CheckpointError when the network has no embedding, or cannot be compiled.
        """
        self.checkpoint = checkpoint
        self._config = checkpoint.card.input
        self._reader = reader
        try:
            self._engine = OpenVinoEngine(checkpoint.model, streams=cpu_count() or 1, embeds=True)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{checkpoint.folder} gives no embedding: {reason}") from error

    def embed_all(self, paths: Sequence[Path]) -> list[EmbeddedRecording | AudioError | OSError]:
        """Embed files in parallel; return in the place of a file that cannot be read the error."""
        results = map_in_threads(self._try_embed, paths)
        return list(track(results, description="embedding", total=len(paths)))

    def _try_embed(self, path: Path) -> EmbeddedRecording | AudioError | OSError:
        try:
            return self.embed(path)
        except (AudioError, OSError) as error:
            return error

    def embed(self, path: Path) -> EmbeddedRecording:
        """Embed the clips of one file.

        Raises:
            AudioError: it cannot be decoded, or is silent.
            OSError: it cannot be read.
        """
        config = self._config
        samples = self._reader.read(path.read_bytes(), sample_rate=config.sample_rate).samples
        clips = [
            self._engine.infer(block.inputs)[~block.silent]
            for block in clip_blocks([samples], config, clips=MAX_BATCH_SIZE)
        ]
        return EmbeddedRecording(
            np.concatenate(clips), hashlib.sha256(samples.tobytes()).hexdigest()
        )


def write_probe(checkpoint: Checkpoint, head: ProbeHead, path: Path) -> None:
    """Write a checkpoint's network with another head, as an ONNX graph.

    Args:
        checkpoint: whose network is copied up to its embedding, and stays as it is.
        head: takes the place of the network's own.
        path: file to write.
    """
    embedding = _embedding_name(checkpoint.model)
    model = onnx.load(checkpoint.model)
    graph = model.graph
    graph.ClearField("output")
    graph.output.append(helper.make_empty_tensor_value_info(embedding))
    remove_unused(graph)
    coefficients = set_constant(graph, _PREFIX + "coefficients", head.coefficients.T)
    intercepts = set_constant(graph, _PREFIX + "intercepts", head.intercepts)
    prototypes = set_constant(graph, _PREFIX + "prototypes", head.prototypes.T)
    axis = set_constant(graph, _PREFIX + "axis", np.array([1], np.int64))
    unit, products, logits, cosines, nearness = (
        _PREFIX + name for name in ("unit", "products", "label_logits", "cosines", "nearness")
    )
    graph.node.extend(
        [
            helper.make_node("LpNormalization", [embedding], [unit], axis=1, p=2),
            helper.make_node("MatMul", [unit, coefficients], [products]),
            helper.make_node("Add", [products, intercepts], [logits]),
            helper.make_node("MatMul", [unit, prototypes], [cosines]),
            helper.make_node("ReduceMax", [cosines, axis], [nearness], keepdims=1),
            helper.make_node("Concat", [logits, nearness], [_OUTPUT], axis=1),
        ]
    )
    size = len(head.intercepts) + 1
    graph.ClearField("output")
    graph.output.append(helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["batch", size]))
    graph.ClearField("value_info")
    onnx.save(model, path)


def _embedding_name(model: Path) -> str:
    """Return the name of the embedding in the ONNX graph."""
    graph = openvino_core().read_model(model)
    names: set[str] = embedding_output(graph).get_names()
    known = {output for node in onnx.load(model).graph.node for output in node.output}
    return sorted(names & known)[0]
