"""The folder of one training run, and what `earshot export` needs of it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from app.audio.frontend import FrontEnd
from app.checkpoints.card import Training
from app.checkpoints.labels import TaskName
from training.network import ResNetAudioClassifier

RECORD = "run.json"
WEIGHTS = "model.safetensors"
FP32_MODEL = "model.fp32.onnx"


class RunError(ValueError):
    """A run's folder does not hold what it should."""


class RunRecord(BaseModel):
    """What was trained: written beside the weights when a run has finished."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: TaskName
    labels: tuple[str, ...]
    front_end: FrontEnd
    training: Training


def save_run(folder: Path, record: RunRecord, network: ResNetAudioClassifier) -> None:
    """Write the weights and the record of a finished run."""
    save_file(
        {name: weight.contiguous() for name, weight in network.state_dict().items()},
        folder / WEIGHTS,
    )
    (folder / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_run(folder: Path) -> tuple[RunRecord, ResNetAudioClassifier]:
    """Read a finished run.

    Raises RunError when the run has not finished or its files are damaged.
    """
    if not (folder / RECORD).is_file():
        raise RunError(f"{folder}: no {RECORD}; the run has not finished (earshot train goes on)")
    try:
        record = RunRecord.model_validate_json((folder / RECORD).read_bytes())
        network = ResNetAudioClassifier(len(record.labels))
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (ValidationError, SafetensorError, OSError, RuntimeError) as error:
        raise RunError(f"{folder}: {error}") from error
    return record, network
