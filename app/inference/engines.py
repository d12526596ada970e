"""Which engine answers: chosen once, by a setting."""

import importlib.util
from pathlib import Path

from app.checkpoints.store import Checkpoint
from app.inference.engine import Engine, OpenVinoEngine
from app.inference.names import EngineName


def make_engine(
    checkpoint: Checkpoint, name: EngineName, *, streams: int, cache: Path | None
) -> Engine:
    """Make a checkpoint's network ready to answer.

    Args:
        checkpoint: what to load.
        name: `auto` takes torch where it is installed and finds a GPU and the checkpoint has
            weights for it, and OpenVINO otherwise.
        streams: batches that are worked on at the same time; OpenVINO only.
        cache: folder for compiled graphs; OpenVINO only.

    Raises:
        RuntimeError: the network cannot be read or compiled.
        CheckpointError: the engine asked for needs a file that the checkpoint lacks.
    """
    # Weights first: to look for a GPU, torch must be loaded, seconds and half a gigabyte of it.
    if name == "torch" or (name == "auto" and checkpoint.weights is not None and _gpu()):
        from app.inference.torch_engine import TorchEngine  # noqa: PLC0415  # torch is an extra

        return TorchEngine(checkpoint)
    return OpenVinoEngine(checkpoint.model, streams=streams, cache=cache)


def _gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    from app.inference import torch_engine  # noqa: PLC0415  # torch is an extra

    return torch_engine.gpu_is_there()
