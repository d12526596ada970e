"""The folder of one training run: its options, and what it made."""

import itertools
import json
import os
from collections.abc import Callable, Collection
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from app.audio.network_inputs import InputConfig
from app.audio.stft import WindowName
from app.checkpoints.card import Training
from earshot.schemas import FrozenModel, Slug
from training.data_source import DataSource
from training.networks import AudioClassifier, build_network
from training.recipes import Recipe

CONFIG = "config.json"
RECORD = "run.json"
WEIGHTS = "model.safetensors"
FP32_MODEL = "model.fp32.onnx"


class RunError(ValueError):
    """A run's folder does not hold what it should."""


class RunConfig(FrozenModel):
    """The options of one training: written into its folder before it begins."""

    task: Slug
    name: Slug
    """of the checkpoint within its task"""
    network: str
    """name in `training.networks.NETWORKS`"""
    window: WindowName
    source: DataSource
    recipe: Recipe
    held_out: dict[str, tuple[str, ...]] | None
    """corpus -> folds or speakers; None, until the data is read: the default of the task"""
    seed: int
    pretrained: Path | None
    """weights of `earshot pretrain`, or a checkpoint's folder, to start from; None: at random"""
    teacher: Path | None = None
    """folder of the checkpoint whose predictions are learned from"""
    cache: Path
    """folder for decoded recordings"""
    store: Path
    """where the checkpoint is written"""


class RunRecord(FrozenModel):
    """The labels and the input of a finished run: written beside its weights."""

    labels: tuple[str, ...]
    input: InputConfig
    training: Training


def lock_run_config(
    folder: Path, config: FrozenModel, *, changeable: Collection[str] = ("cache", "store")
) -> None:
    """Write the options of a run into its folder, or check that it was begun with the same.

    Going on with other data or another recipe would give weights that no card describes.

    Args:
        folder: of the run; it is made.
        config: all options.
        changeable: those that may differ; the new ones are written.

    Raises RunError when `folder` belongs to a run with other options.
    """
    path = folder / CONFIG
    text = config.model_dump_json(indent=2) + "\n"
    if path.exists() and _fixed(path.read_text("utf-8"), changeable) != _fixed(text, changeable):
        raise RunError(
            f"{folder} holds a run with other options (see {CONFIG} there); "
            "choose another folder for the run, or delete this one"
        )
    folder.mkdir(parents=True, exist_ok=True)
    # Processes that train together write the same; none of them reads half a file.
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def choose_run_folder(
    base: Path,
    config: FrozenModel,
    is_finished: Callable[[Path], bool],
    *,
    changeable: Collection[str] = ("cache", "store"),
) -> Path:
    """Return the folder of a run that nobody has named: `base`, or `base-2`, `base-3` and so on.

    It is the first that holds no run, or one with the same options that was interrupted.
    """
    text = config.model_dump_json()
    for number in itertools.count(1):
        folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
        path = folder / CONFIG
        if not path.exists():
            return folder
        is_same = _fixed(path.read_text("utf-8"), changeable) == _fixed(text, changeable)
        if is_same and not is_finished(folder):
            return folder
    raise AssertionError


def _fixed(text: str, changeable: Collection[str]) -> dict[str, object]:
    try:
        return {name: value for name, value in json.loads(text).items() if name not in changeable}
    except ValueError:
        return {}


def load_config(folder: Path) -> RunConfig:
    """Read the options of a run; raise RunError when the folder holds none."""
    path = folder / CONFIG
    try:
        return RunConfig.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise RunError(f"{folder}: no {CONFIG}; earshot train makes such a folder") from error
    except (ValidationError, OSError) as error:
        raise RunError(f"{path}: {error}") from error


def save_weights(
    path: Path, network: AudioClassifier, description: str, groups: frozenset[str]
) -> None:
    """Write the weights of a network, with their origin as metadata.

    Args:
        path: file to write.
        network: has the weights.
        description: of their origin.
        groups: `LabeledRecording.group` of everything that they were trained on.
    """
    save_file(
        {name: weight.contiguous() for name, weight in network.state_dict().items()},
        path,
        metadata={"description": description, "groups": json.dumps(sorted(groups))},
    )


def save_run(
    folder: Path, record: RunRecord, network: AudioClassifier, groups: frozenset[str]
) -> None:
    """Write the weights and the record of a finished run; see `save_weights` for `groups`."""
    save_weights(folder / WEIGHTS, network, "earshot train", groups)
    (folder / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def has_weights(folder: Path) -> bool:
    """Return whether a run has been trained to its end."""
    return (folder / RECORD).is_file() and (folder / WEIGHTS).is_file()


def load_run(folder: Path) -> tuple[RunConfig, RunRecord, AudioClassifier]:
    """Read a finished run.

    Raises RunError when the run has not finished or its files are damaged.
    """
    config = load_config(folder)
    if not (folder / RECORD).is_file():
        raise RunError(f"{folder}: no {RECORD}; the run has not finished (earshot train goes on)")
    try:
        record = RunRecord.model_validate_json((folder / RECORD).read_bytes())
        network = build_network(config.network, len(record.labels))
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (ValueError, SafetensorError, OSError, RuntimeError) as error:
        raise RunError(f"{folder}: {error}") from error
    return config, record, network
