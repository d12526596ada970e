import json
import os
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import (
    CheckpointError,
    DamagedCheckpointError,
    MissingCheckpointError,
    ModelKey,
)
from tests.support.cards import CARD


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"a graph")
    return path


@pytest.fixture
def root(tmp_path: Path, model: Path) -> Path:
    root = tmp_path / "store"
    store.save(root, CARD, {"model.onnx": model})
    return root


def test_what_is_saved_is_loaded(root: Path) -> None:
    checkpoint = store.load(root, ModelKey("urban-sound", "hann"))
    assert checkpoint.model.read_bytes() == b"a graph"
    # printf 'a graph' | sha256sum
    digest = "170df6144b15bdf1dced878e45ebdb2dac95d0b1a3bc68459434bbbd88681157"
    assert checkpoint.card == CARD.model_copy(update={"files": {"model.onnx": digest}})
    assert store.list_checkpoints(root) == [("urban-sound", "hann")]


def test_nothing_else_is_left_behind(root: Path) -> None:
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert found == ["urban-sound/hann/card.json", "urban-sound/hann/model.onnx"]


def test_saving_again_replaces_the_whole_checkpoint(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another graph")
    store.save(root, CARD.model_copy(update={"version": "2"}), {"model.onnx": other})
    checkpoint = store.load(root, ModelKey("urban-sound", "hann"))
    assert (checkpoint.card.version, checkpoint.model.read_bytes()) == ("2", b"another graph")
    assert [path.name for path in (root / "urban-sound").iterdir()] == ["hann"]


def test_a_failed_save_leaves_the_old_checkpoint(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write"):
        store.save(root, CARD, {"model.onnx": tmp_path / "missing.onnx"})
    assert store.load(root, ModelKey("urban-sound", "hann")).model.read_bytes() == b"a graph"
    assert [path.name for path in (root / "urban-sound").iterdir()] == ["hann"]


def test_a_new_card_keeps_the_files(root: Path) -> None:
    checkpoint = store.load(root, ModelKey("urban-sound", "hann"))
    store.replace_card(checkpoint, checkpoint.card.model_copy(update={"temperature": 2.5}))
    assert store.load(root, ModelKey("urban-sound", "hann")).card.temperature == 2.5


def test_a_missing_checkpoint_is_named(root: Path) -> None:
    with pytest.raises(MissingCheckpointError, match="emotion/hamming"):
        store.load(root, ModelKey("emotion", "hamming"))


def test_a_checkpoint_needs_a_model(tmp_path: Path, model: Path) -> None:
    with pytest.raises(CheckpointError, match=r"needs a model\.onnx, got notes\.txt"):
        store.save(tmp_path / "s", CARD, {"notes.txt": model})


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path, model: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match=r"cannot write .*blocked"):
        store.save(blocked, CARD, {"model.onnx": model})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", b"a gra", "model.onnx does not have the SHA-256 of its card"),
        ("model.onnx", None, "model.onnx is missing"),
        ("card.json", None, "card.json is missing"),
        ("card.json", b"{", "card.json is not a valid card"),
        ("card.json", b"{}", "task: Field required"),
    ],
)
def test_damage_is_named(root: Path, name: str, content: bytes | None, message: str) -> None:
    path = root / "urban-sound" / "hann" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=f"urban-sound/hann: .*{message}"):
        store.load(root, ModelKey("urban-sound", "hann"))


def test_a_card_of_a_later_schema_is_refused(root: Path) -> None:
    path = root / "urban-sound" / "hann" / "card.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(DamagedCheckpointError, match="schema_version: Input should be 2"):
        store.load(root, ModelKey("urban-sound", "hann"))


def test_a_card_in_the_wrong_folder_is_refused(root: Path) -> None:
    (root / "urban-sound" / "hann").rename(root / "urban-sound" / "hamming")
    with pytest.raises(DamagedCheckpointError, match="the card is for urban-sound/hann"):
        store.load(root, ModelKey("urban-sound", "hamming"))


def test_only_folders_with_the_names_of_tasks_and_checkpoints_are_listed(root: Path) -> None:
    others = ("Urban/hann", "urban-sound/.new-1", "a--b/hann", "emotion/a_b")
    for name in ("machine-faults/v2", *others):
        (root / name).mkdir(parents=True)
    (root / "urban-sound" / "notes").write_text("no checkpoint")
    assert store.list_checkpoints(root) == [("machine-faults", "v2"), ("urban-sound", "hann")]
    assert store.list_checkpoints(root / "elsewhere") == []


@pytest.mark.parametrize("name", ["Hann", "a--b", "-a", "a b", "", "a" * 65])
def test_other_names_are_refused(name: str) -> None:
    for field in ("task", "name"):
        with pytest.raises(ValidationError, match=field):
            Card.model_validate(CARD.model_dump() | {field: name})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("temperature", value) for value in (1e-300, 0, 1e300, float("inf"), float("nan"))),
        *(("input.clip_hop_seconds", value) for value in (1e-9, 61)),
        *(("input.clip_seconds", value) for value in (1e-9, 1e9)),
        *(("input.amin", value) for value in (1e-300, 2)),
        *(("input.top_db", value) for value in (0.001, 1e9)),
        *(("input.hop_length", value) for value in (0, 10**9)),
        *(("training.epochs", 10**30), ("training.seed", -1), ("training.recipe", {"a": 1e999})),
        *(("labels", ["a", ""]), ("labels", ["a", "b" * 201]), ("version", "")),
        *(
            ("files", {"model.onnx": "0" * 64, name: "0" * 64})
            for name in ("/dev/zero", "../../etc/passwd", "a/b", "..", ".", "", "a\nb", "a" * 101)
        ),
    ],
)
def test_what_a_card_may_not_say(root: Path, field: str, value: object) -> None:
    path = root / "urban-sound" / "hann" / "card.json"
    card = json.loads(path.read_text())
    *parents, last = field.split(".")
    inner = card
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    path.write_text(json.dumps(card))
    found = field.replace("input.", "input.log-mel.")
    with pytest.raises(DamagedCheckpointError, match=f"not a valid card: {found}"):
        store.load(root, ModelKey("urban-sound", "hann"))


def test_a_clip_has_only_so_large_a_spectrogram(root: Path) -> None:
    path = root / "urban-sound" / "hann" / "card.json"
    small = {"clip_seconds": 60, "sample_rate": 192_000, "n_fft": 16, "hop_length": 1}
    card = CARD.model_dump(mode="json")
    path.write_text(json.dumps(card | {"input": card["input"] | small}))
    with pytest.raises(DamagedCheckpointError, match="at most 33554432 are computed"):
        store.read_card(root, ModelKey("urban-sound", "hann"))


@pytest.mark.parametrize("name", ["card.json", "model.onnx"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("link", "it is a link"),
        ("device", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("folder", "Is a directory"),
        ("sparse", "bytes, at most"),
    ],
)
def test_only_regular_files_are_read(root: Path, name: str, kind: str, words: str) -> None:
    path = root / "urban-sound" / "hann" / name
    elsewhere = path.rename(root / name)
    match kind:
        case "link":  # to the very file
            path.symlink_to(elsewhere)
        case "device":
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "sparse":
            with path.open("wb") as file:
                file.truncate(store.MAX_FILE_BYTES + 1)
    with pytest.raises(DamagedCheckpointError, match=f"{name} .*{words}|{name}: {words}"):
        store.load(root, ModelKey("urban-sound", "hann"))
