"""The store on disk: `<root>/<task>/<window>/{card.json, model.onnx, ...}`."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.audio.windows import WINDOWS, WindowName
from app.checkpoints.card import Card
from app.checkpoints.errors import (
    CheckpointError,
    DamagedCheckpointError,
    MissingCheckpointError,
)
from app.checkpoints.labels import TASKS, TaskName

CARD = "card.json"
MODEL = "model.onnx"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose card is valid and whose files are what the card says."""

    folder: Path
    card: Card

    @property
    def model(self) -> Path:
        """The inference graph."""
        return self.folder / MODEL

    @property
    def weights(self) -> Path | None:
        """The weights before quantisation, where the checkpoint has them."""
        return self.folder / WEIGHTS if WEIGHTS in self.card.files else None


def checkpoint_folder(root: Path, task: TaskName, window: WindowName) -> Path:
    """Where the checkpoint for `task` and `window` lies."""
    return root / task / window


def present(root: Path) -> list[tuple[TaskName, WindowName]]:
    """The checkpoints that have a folder in the store, damaged ones too."""
    return [
        (task, window)
        for task in TASKS
        for window in WINDOWS
        if checkpoint_folder(root, task, window).is_dir()
    ]


def read_card(root: Path, task: TaskName, window: WindowName) -> Card:
    """Read a checkpoint's card, and leave its other files alone.

    Raises:
        MissingCheckpointError: there is no such folder.
        DamagedCheckpointError: the card is missing or not as it should be.
    """
    folder = checkpoint_folder(root, task, window)
    if not folder.is_dir():
        raise MissingCheckpointError(f"no checkpoint for {task} with the {window} window")
    card = _parse_card(folder / CARD)
    if (card.task, card.input.window) != (task, window):
        raise DamagedCheckpointError(
            f"{task}/{window}: the card is for {card.task}/{card.input.window}"
        )
    if MODEL not in card.files:
        raise DamagedCheckpointError(f"{task}/{window}: the card lists no {MODEL}")
    return card


def load(root: Path, task: TaskName, window: WindowName) -> Checkpoint:
    """Read a checkpoint's card and check the hash of each file.

    Raises:
        MissingCheckpointError: there is no such folder.
        DamagedCheckpointError: the card or a file is missing or not as it should be.
    """
    card = read_card(root, task, window)
    folder = checkpoint_folder(root, task, window)
    for name, expected in card.files.items():
        try:
            found = sha256(folder / name)
        except FileNotFoundError as error:
            raise DamagedCheckpointError(f"{task}/{window}: {name} is missing") from error
        except OSError as error:
            raise DamagedCheckpointError(f"{task}/{window}: cannot read {name}: {error}") from error
        if found != expected:
            raise DamagedCheckpointError(
                f"{task}/{window}: {name} does not have the SHA-256 of its card"
            )
    return Checkpoint(folder, card)


def require_writable(root: Path) -> None:
    """Make the store `root` where it is missing, before work is begun that shall end in it.

    Raises CheckpointError when it cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-"):
            pass
    except OSError as error:
        raise CheckpointError(f"cannot write {root}: {error}") from error


def save(root: Path, card: Card, files: Mapping[str, Path]) -> Checkpoint:
    """Write a checkpoint, all or nothing, in place of the one that may be there.

    Args:
        root: the store.
        card: its `files` are replaced by the names and hashes of `files`.
        files: name in the checkpoint -> file to copy; `model.onnx` must be among them.

    Raises:
        CheckpointError: the store cannot be written, or `model.onnx` is not given.
    """
    if MODEL not in files:
        raise CheckpointError(f"a checkpoint needs a {MODEL}, got {', '.join(files) or 'nothing'}")
    folder = checkpoint_folder(root, card.task, card.input.window)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
            new = Path(temporary) / folder.name
            new.mkdir()
            for name, path in files.items():
                shutil.copyfile(path, new / name)
            hashes = {name: sha256(new / name) for name in files}
            complete = card.model_copy(update={"files": hashes})
            _write_card(new / CARD, complete)
            if folder.exists():
                # A folder cannot be renamed onto one that is not empty.
                folder.rename(Path(temporary) / "old")
            new.rename(folder)
    except OSError as error:
        raise CheckpointError(f"cannot write {folder}: {error}") from error
    return Checkpoint(folder, complete)


def replace_card(checkpoint: Checkpoint, card: Card) -> Checkpoint:
    """Write a new card for the same files, all or nothing.

    Raises CheckpointError when the store cannot be written.
    """
    path = checkpoint.folder / CARD
    temporary = path.with_suffix(".new")
    try:
        _write_card(temporary, card)
        temporary.replace(path)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error}") from error
    return Checkpoint(checkpoint.folder, card)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse_card(path: Path) -> Card:
    where = f"{path.parent.parent.name}/{path.parent.name}"
    try:
        return Card.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DamagedCheckpointError(f"{where}: {path.name} is missing") from error
    except OSError as error:
        raise DamagedCheckpointError(f"{where}: cannot read {path.name}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise DamagedCheckpointError(
            f"{where}: {path.name} is not a valid card: {field}: {first['msg']}"
        ) from error


def _write_card(path: Path, card: Card) -> None:
    path.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
