"""Engines: one compiled network each, behind one interface."""

import functools
import importlib.util
import logging
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino
from numpy.typing import NDArray
from scipy.special import softmax

from app.audio.network_inputs import InputConfig, clip_blocks
from app.checkpoints.store import Checkpoint
from app.inference import EngineName
from app.inference.embedding import embedding_graph

log = logging.getLogger(__name__)

MAX_BATCH_SIZE = 8
"""clips at a time: throughput hardly grows beyond, memory does"""


_WAVEFORM_RANK = 2
"""batch, samples"""
_FP32 = {"INFERENCE_PRECISION_HINT": "f32"}
"""where processors have bfloat16, OpenVINO computes in it, whose 8 bits are too few for a spectrum
that spans 80 dB; what is quantised stays so"""


class Engine(Protocol):
    """A compiled network. Safe to call from many threads."""

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the outputs `[batch, Card.output_size]` of a batch of `network_input`."""
        ...


class OpenVinoEngine:
    """Runs an ONNX file with OpenVINO on the CPU."""

    def __init__(
        self, model: Path, *, streams: int = 1, cache: Path | None = None, embeds: bool = False
    ) -> None:
        """Compile `model`.

        Args:
            model: the ONNX file.
            streams: batches that are worked on at the same time, each on its share of the cores.
            cache: folder for the compiled graph, so that the next start need not compile.
            embeds: whether it gives the embedding, `[batch, features]`, in place of the outputs.

        Raises:
            RuntimeError: OpenVINO cannot read or compile it. Where it is only the cache that
                cannot be used, it goes without.
            ValueError: it is to embed, and has no embedding; see `embedding_output`.
        """
        try:
            self._compiled = _compile(model, streams, cache, embeds=embeds)
        except RuntimeError as error:
            if cache is None:
                raise
            self._compiled = _compile(model, streams, None, embeds=embeds)
            log.warning("going without the cache %s: %s", cache, str(error).splitlines()[0])
        self._threads = threading.local()
        # OpenVINO's binding sets itself up during the first inference of a process, and two
        # threads that come to it at once wait for each other for ever.
        shape = self._compiled.input(0).partial_shape
        smallest = [dimension.get_min_length() or 1 for dimension in shape]
        self.infer(np.zeros(smallest, np.float32))

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        request = getattr(self._threads, "request", None)
        if request is None:
            request = self._threads.request = self._compiled.create_infer_request()
        request.infer([inputs])
        # The request's own memory is overwritten by its next run.
        outputs: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
        return outputs


def make_engine(
    checkpoint: Checkpoint, name: EngineName, *, streams: int, cache: Path | None
) -> Engine:
    """Make the engine of a checkpoint.

    Args:
        checkpoint: the checkpoint to load.
        name: `auto` takes torch where it is installed and finds a GPU and the checkpoint has
            weights for it, and OpenVINO otherwise.
        streams: batches that are worked on at the same time; OpenVINO only.
        cache: folder for compiled graphs; OpenVINO only.

    Raises:
        RuntimeError: the network cannot be read or compiled.
        CheckpointError: the engine asked for needs a file that the checkpoint lacks.
    """
    # Weights first: to look for a GPU, torch must be loaded, seconds and half a gigabyte of it.
    if name == "torch" or (name == "auto" and checkpoint.weights is not None and _has_gpu()):
        from app.inference.torch_engine import TorchEngine  # noqa: PLC0415  # torch is an extra

        return TorchEngine(checkpoint)
    return OpenVinoEngine(checkpoint.model, streams=streams, cache=cache)


def recording_outputs(
    engine: Engine, samples: NDArray[np.float32], config: InputConfig
) -> NDArray[np.float32]:
    """Compute the network's outputs for each clip of a recording.

    Args:
        engine: the compiled network.
        samples: mono, shape `[samples]`, not empty, at `config.sample_rate`.
        config: of the network's input.

    Returns:
        shape `[clips, Card.output_size]`; the clips are those of `app.audio.clips.iter_clips`.
    """
    blocks = clip_blocks([samples], config, clips=MAX_BATCH_SIZE)
    return np.concatenate([engine.infer(block.inputs) for block in blocks])


def apply_temperature(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return the softmax of `logits / temperature` over the last axis (Guo et al., ICML 2017)."""
    probabilities: NDArray[np.float32] = softmax(logits / np.float32(temperature), axis=-1)
    return probabilities


@functools.cache
def openvino_core() -> openvino.Core:
    """Return OpenVINO's core: one for the process, which it is never rid of.

    The CPU plugin gives the thread that loads it a signal stack of its own (openvino#11894) and
    unmaps it when it is destroyed, in whichever thread that is: a signal that is handled after
    that ends the process. So it is loaded in a thread that handles none, and is kept.
    """
    core = openvino.Core()
    loading = threading.Thread(target=core.get_versions, args=["CPU"])
    loading.start()
    loading.join()
    return core


def _compile(
    model: Path, streams: int, cache: Path | None, *, embeds: bool
) -> openvino.CompiledModel:
    core = openvino_core()
    network = core.read_model(model)
    properties = {} if network.input(0).partial_shape.rank.get_length() > _WAVEFORM_RANK else _FP32
    return core.compile_model(
        embedding_graph(network) if embeds else network,
        "CPU",
        {
            **({} if cache is None else {"CACHE_DIR": str(cache)}),
            **properties,
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": streams,
            # Other threads decode and answer on the same cores: one that is bound to a core that
            # is busy keeps the rest of its batch waiting.
            "ENABLE_CPU_PINNING": False,
        },
    )


def _has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    from app.inference import torch_engine  # noqa: PLC0415  # torch is an extra

    return torch_engine.has_gpu()
