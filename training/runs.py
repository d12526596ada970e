"""The folder of one training run, and what `earshot export` needs of it."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from app.audio.log_mel import LogMelConfig
from app.checkpoints.card import Training
from training.tasks import TaskName
from training.networks.resnet import ResNetAudioClassifier

RECORD = "run.json"
DESCRIPTION = "job.json"
WEIGHTS = "model.safetensors"
FP32_MODEL = "model.fp32.onnx"


class RunError(ValueError):
    """A run's folder does not hold what it should."""


def claim(folder: Path, description: Mapping[str, object]) -> None:
    """Make `folder` the place of one run, or check that it already is.

    Going on with other data or another recipe than a run began with would give weights
    that no card describes.

    Raises RunError when `folder` belongs to a run with another description.
    """
    path = folder / DESCRIPTION
    text = json.dumps(description, indent=2, default=str, sort_keys=True) + "\n"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise RunError(
            f"{folder} holds a run with other options (see {DESCRIPTION} there); "
            "choose another folder with --out, or delete it"
        )


class RunRecord(BaseModel):
    """What was trained: written beside the weights when a run has finished."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: TaskName
    labels: tuple[str, ...]
    input: LogMelConfig
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
