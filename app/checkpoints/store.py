"""The store on disk: `<root>/<task>/<name>/{card.json, model.onnx, ...}`."""

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import ClassVar, NamedTuple

from pydantic import ValidationError

from app.checkpoints.card import Card

CARD = "card.json"
MODEL = "model.onnx"
WEIGHTS = "model.safetensors"
MAX_FILE_BYTES = 8 << 30
"""of the largest file of a checkpoint that is read"""
_MAX_CARD_BYTES = 4 << 20
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message says which and why.

    CheckpointError
    ├── MissingCheckpointError
    │   └── UnknownTaskError
    └── DamagedCheckpointError
    """

    problem_type: ClassVar[str] = "checkpoint-unavailable"


class MissingCheckpointError(CheckpointError):
    """The store has no such checkpoint, or not the file of it that is needed."""


class UnknownTaskError(MissingCheckpointError):
    """The store has no such task; the message lists those that it has."""

    problem_type = "unknown-task"


class DamagedCheckpointError(CheckpointError):
    """The files of a checkpoint do not match its card."""


class ModelKey(NamedTuple):
    """The address of a checkpoint in a store; its text is `task/name`."""

    task: str
    name: str

    def __str__(self) -> str:
        return f"{self.task}/{self.name}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose card is valid and whose files match the card."""

    folder: Path
    card: Card

    @property
    def key(self) -> ModelKey:
        """The address of the checkpoint in its store."""
        return key_of(self.card)

    @property
    def model(self) -> Path:
        """The inference graph."""
        return self.folder / MODEL

    @property
    def weights(self) -> Path | None:
        """The weights before quantisation, where the checkpoint has them."""
        return self.folder / WEIGHTS if WEIGHTS in self.card.files else None


def key_of(card: Card) -> ModelKey:
    """Return the address of the checkpoint with this card."""
    return ModelKey(card.task, card.name)


def list_checkpoints(root: Path) -> list[ModelKey]:
    """List the checkpoints that have a folder in the store, damaged ones too, sorted.

    Folders whose names are no lower-case words joined by hyphens are no checkpoints.

    Raises OSError when the store cannot be read; a store that is not there is empty.
    """
    if not root.is_dir():
        return []
    return sorted(
        ModelKey(task.name, folder.name)
        for task in root.iterdir()
        if _SLUG.fullmatch(task.name) and task.is_dir()
        for folder in task.iterdir()
        if _SLUG.fullmatch(folder.name) and folder.is_dir()
    )


def read_card(root: Path, key: ModelKey) -> Card:
    """Read the card of a checkpoint, without its other files.

    Raises:
        MissingCheckpointError: there is no such folder.
        DamagedCheckpointError: the card is missing or invalid.
    """
    folder = _folder(root, key)
    if not folder.is_dir():
        raise MissingCheckpointError(f"no checkpoint {key} in {root}")
    card = _parse_card(folder / CARD)
    if key_of(card) != key:
        raise DamagedCheckpointError(f"{key}: the card is for {key_of(card)}")
    if MODEL not in card.files:
        raise DamagedCheckpointError(f"{key}: the card lists no {MODEL}")
    return card


def load(root: Path, key: ModelKey) -> Checkpoint:
    """Read the card of a checkpoint and verify the hash of each file.

    Raises:
        MissingCheckpointError: there is no such folder.
        DamagedCheckpointError: the card or a file is missing, or does not match.
    """
    card = read_card(root, key)
    folder = _folder(root, key)
    for name, expected in card.files.items():
        with _open_file(folder / name, MAX_FILE_BYTES) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise DamagedCheckpointError(f"{key}: {name} does not have the SHA-256 of its card")
    return Checkpoint(folder, card)


def load_folder(folder: Path) -> Checkpoint:
    """Read the checkpoint in `folder`, which is `STORE/TASK/NAME`; see `load`."""
    whole = folder.absolute()
    return load(whole.parent.parent, ModelKey(whole.parent.name, whole.name))


def require_writable(root: Path) -> None:
    """Create the store `root` where it is missing, before long work that ends in it.

    Raises CheckpointError when it cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-"):
            pass
    except OSError as error:
        raise CheckpointError(f"cannot write {root}: {error}") from error


def save(root: Path, card: Card, files: Mapping[str, Path]) -> Checkpoint:
    """Write a checkpoint atomically, in place of the one that may be there.

    Args:
        root: the store.
        card: its `files` are replaced by the names and hashes of `files`.
        files: name in the checkpoint -> file to copy; `model.onnx` must be among them.

    Raises:
        CheckpointError: the store cannot be written, or `model.onnx` is not given.
    """
    if MODEL not in files:
        raise CheckpointError(f"a checkpoint needs a {MODEL}, got {', '.join(files) or 'nothing'}")
    folder = _folder(root, key_of(card))
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
    """Write a new card for the same files, atomically.

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
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(root: Path, key: ModelKey) -> Path:
    return root / key.task / key.name


@contextmanager
def _open_file(path: Path, max_bytes: int) -> Iterator[BufferedReader]:
    """Open a file of a checkpoint: a regular one, for a link or a device would lead elsewhere.

    Raises DamagedCheckpointError when it is something else, too large, or cannot be read.
    """
    where = f"{path.parent.parent.name}/{path.parent.name}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor has no path
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DamagedCheckpointError(f"{where}: {path.name} is not a regular file")
            if status.st_size > max_bytes:
                raise DamagedCheckpointError(
                    f"{where}: {path.name} has {status.st_size} bytes, at most {max_bytes} are read"
                )
            yield file
    except FileNotFoundError as error:
        raise DamagedCheckpointError(f"{where}: {path.name} is missing") from error
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise DamagedCheckpointError(f"{where}: cannot read {path.name}: {reason}") from error


def _parse_card(path: Path) -> Card:
    where = f"{path.parent.parent.name}/{path.parent.name}"
    with _open_file(path, _MAX_CARD_BYTES) as file:
        content = file.read(_MAX_CARD_BYTES)
    try:
        return Card.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise DamagedCheckpointError(
            f"{where}: {path.name} is not a valid card: {field[:100]}: {first['msg'][:200]}"
        ) from error


def _write_card(path: Path, card: Card) -> None:
    path.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
