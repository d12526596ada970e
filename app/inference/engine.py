"""Engines: one compiled network each, and what a recording's clips make it say."""

import logging
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino
from numpy.typing import NDArray
from scipy.special import softmax

from app.audio.features import clip_blocks
from app.audio.log_mel import LogMelConfig

log = logging.getLogger(__name__)

MAX_BATCH_SIZE = 8
"""clips at a time: throughput hardly grows beyond, memory does"""


class Engine(Protocol):
    """A compiled network. Safe to call from many threads."""

    def infer(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs `[batch, Card.outputs]` of spectrograms `[batch, 1, mels, frames]`."""
        ...


class OpenVinoEngine:
    """OpenVINO on the CPU, on an ONNX file."""

    def __init__(self, model: Path, *, streams: int = 1, cache: Path | None = None) -> None:
        """Compile `model`.

        Args:
            model: the ONNX file.
            streams: batches that are worked on at the same time, each on its share of the cores.
            cache: folder for the compiled graph, so that the next start need not compile.

        Raises RuntimeError when OpenVINO cannot read or compile it. Where it is only the cache
        that cannot be used, it goes without.
        """
        try:
            self._compiled = _compile(model, streams, cache)
        except RuntimeError as error:
            if cache is None:
                raise
            self._compiled = _compile(model, streams, None)
            log.warning("going without the cache %s: %s", cache, str(error).splitlines()[0])
        self._threads = threading.local()
        # OpenVINO's binding sets itself up during the first inference of a process, and two
        # threads that come to it at once wait for each other for ever.
        shape = self._compiled.input(0).partial_shape
        smallest = [dimension.get_min_length() or 1 for dimension in shape]
        self.infer(np.zeros(smallest, np.float32))

    def infer(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        request = getattr(self._threads, "request", None)
        if request is None:
            request = self._threads.request = self._compiled.create_infer_request()
        request.infer([spectrograms])
        # The request's own memory is overwritten by its next run.
        outputs: NDArray[np.float32] = request.get_output_tensor().data.copy()
        return outputs


def recording_outputs(
    engine: Engine, samples: NDArray[np.float32], config: LogMelConfig
) -> NDArray[np.float32]:
    """The network's outputs for each clip of a recording.

    Args:
        engine: the compiled network.
        samples: mono, shape `[samples]`, not empty, at `config.sample_rate`.
        config: of the network's card.

    Returns:
        shape `[clips, Card.outputs]`; the clips are those of `app.audio.clips.cut`.
    """
    blocks = clip_blocks([samples], config, clips=MAX_BATCH_SIZE)
    return np.concatenate([engine.infer(block.spectrograms) for block in blocks])


def _compile(model: Path, streams: int, cache: Path | None) -> openvino.CompiledModel:
    core = openvino.Core()
    if cache is not None:
        core.set_property({"CACHE_DIR": str(cache)})
    return core.compile_model(
        core.read_model(model),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": streams,
            # Other threads decode and answer on the same cores: one that is bound to a core that
            # is busy keeps the rest of its batch waiting.
            "ENABLE_CPU_PINNING": False,
        },
    )


def apply_temperature(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Softmax of `logits / temperature` over the last axis (Guo et al., ICML 2017)."""
    probabilities: NDArray[np.float32] = softmax(logits / np.float32(temperature), axis=-1)
    return probabilities
