"""Where the curves of a run are written, by name."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from training.runs import RunError

_PROJECT = "earshot"
_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


def require_loggers(names: Sequence[str]) -> None:
    """Raise RunError where the package of a logger is not installed."""
    for name in names:
        package = _PACKAGES.get(name)
        if package is not None and not _is_installed(package):
            raise RunError(f"--logger {name}: its package is not here; run `pip install {package}`")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it was hidden
        return False


def make_logger(name: str, folder: Path) -> Logger:
    """Return Lightning's logger of this name.

    W&B and MLflow are told where they are by their own environment variables (`WANDB_API_KEY`,
    `WANDB_MODE=offline`, `MLFLOW_TRACKING_URI`), and name the run for its folder.

    Args:
        name: csv, tensorboard, wandb or mlflow.
        folder: of the run.
    """
    if name == "csv":
        return CSVLogger(folder, "log")
    if name == "tensorboard":
        return TensorBoardLogger(folder, "tensorboard")
    if name == "wandb":
        return WandbLogger(folder.name, folder, project=_PROJECT)
    return MLFlowLogger(_PROJECT, folder.name, save_dir=str(folder / "mlruns"))
