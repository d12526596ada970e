"""`earshot export --format`: a checkpoint as one file or two, with all that one needs beside it."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import openvino
from safetensors.torch import save_file

from app.checkpoints import store
from app.checkpoints.store import Checkpoint, CheckpointError, ModelKey
from app.inference.engine import openvino_core
from training.export import export
from training.graph_metadata import card_metadata, write_with_metadata
from training.runs import RunError, load_run

log = logging.getLogger(__name__)

Format = Literal["onnx", "openvino", "safetensors"]
_RT_INFO = "model_info"
"""where OpenVINO's own Model API looks for labels and the like"""


def export_portable(source: Path, form: Format, out: Path) -> list[Path]:
    """Write a run's network, or a checkpoint's, into a folder, for other runtimes.

    ONNX and OpenVINO get the int8 graph that is served; safetensors the weights before
    quantisation, by their names in PyTorch. Labels, front end and card are in the metadata.

    Args:
        source: the folder of a finished run; but for safetensors, a checkpoint's will do.
        form: of the files.
        out: folder to write into.

    Returns:
        the files.

    Raises:
        RunError: `source` is neither, or has not the weights.
        CheckpointError, CorpusError: see their modules.
    """
    out.mkdir(parents=True, exist_ok=True)
    with _open_checkpoint(source) as checkpoint:
        facts = card_metadata(checkpoint.card)
        if form == "onnx":
            return [_write_onnx(checkpoint, facts, out / store.MODEL)]
        if form == "openvino":
            return _write_openvino(checkpoint, facts, out / "model.xml")
        return [_write_safetensors(source, facts, out / store.WEIGHTS)]


@contextmanager
def _open_checkpoint(source: Path) -> Iterator[Checkpoint]:
    """Give the checkpoint in a folder, or that of a run: the store's, or one quantised anew."""
    if (source / store.CARD).is_file():
        yield store.load_folder(source)
        return
    config, record, _ = load_run(source)
    key = ModelKey(config.task, config.name)
    try:
        found = store.load(config.store, key)
        is_own = (found.card.labels, found.card.training) == (record.labels, record.training)
    except CheckpointError:
        is_own = False
    if is_own:
        yield found
        return
    log.warning(
        "%s has no %s of this run: it is quantised anew, and its card has no metrics",
        *(config.store, key),
    )
    with tempfile.TemporaryDirectory() as folder:
        yield export(source, Path(folder))


def _write_onnx(checkpoint: Checkpoint, facts: dict[str, str], path: Path) -> Path:
    write_with_metadata(checkpoint.model, facts, path)
    return path


def _write_openvino(checkpoint: Checkpoint, facts: dict[str, str], path: Path) -> list[Path]:
    model = openvino_core().read_model(checkpoint.model)
    for name, value in facts.items():
        model.set_rt_info(value, [_RT_INFO, name])
    openvino.save_model(model, path, compress_to_fp16=False)
    return [path, path.with_suffix(".bin")]


def _write_safetensors(source: Path, facts: dict[str, str], path: Path) -> Path:
    if (source / store.CARD).is_file():
        raise RunError(
            f"{source}: a checkpoint's graph is quantised; its weights before that are in the "
            "folder of its run"
        )
    config, _, network = load_run(source)
    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    save_file(weights, path, metadata={"network": config.network, **facts})
    return path
