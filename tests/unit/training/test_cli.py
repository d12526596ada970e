"""The command line as its user meets it. A whole training is in tests/e2e and conftest."""

import csv
import importlib.util
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from app.checkpoints import store
from app.checkpoints.store import ModelKey
from earshot.cli import main
from tests.support.sounds import RATE, make
from training.card_tables import TABLES, measured_cards

ROOT = Path(__file__).parents[3]
HANN = ModelKey("urban-sound", "hann")


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code not in (0, None)
    return f"{stopped.value.code}\n{capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("pretrain", "--data DIR"),
        ("train", "--data DIR"),
        ("fine-tune", "DATA ENCODER RUN"),
        ("export", "RUN"),
        ("evaluate", "--data DIR"),
        ("compare-windows", "--data DIR"),
    ],
)
def test_every_command_has_help(
    command: str, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert argument in capsys.readouterr().out


def test_without_the_training_packages_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "lightning" else find(name)
    )
    assert (
        "earshot: the training packages are missing: "
        "run `make install-training` in a checkout of Earshot" in fails(capsys, "robustness")
    )


def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    assert "none of the folders UrbanSound8K" in fails(
        capsys, "train", "--task", "urban-sound", *data, "--out", str(tmp_path / "run")
    )
    assert "invalid choice: 'kaiser' (choose from" in fails(
        capsys, "train", "--task", "emotion", "--window", "kaiser", *data
    )
    assert "argument --folders: not allowed with argument --data" in fails(
        capsys, "train", "--task", "emotion", *data, "--folders", str(tmp_path)
    )
    assert "argument --seeds: expected 2 or more, got '1'" in fails(
        capsys, "compare-windows", *data, "--seeds", "1"
    )
    assert "expected CORPUS:FOLD[,FOLD], got 'ravdess'" in fails(
        capsys, "train", "--task", "emotion", "--hold-out", "ravdess", *data
    )
    assert "argument --folds: expected 2 or more, or official, got '1'" in fails(
        capsys, "train", "--task", "emotion", *data, "--folds", "1"
    )
    assert "--folds holds out every fold in turn: leave --hold-out out" in fails(
        capsys, *("train", "--task", "emotion", *data, "--folds", "5", "--hold-out", "emodb:03")
    )
    assert f"{tmp_path}: no config.json; earshot train makes" in fails(
        capsys, "export", str(tmp_path)
    )
    assert f"{tmp_path}: no config.json" in fails(capsys, "evaluate", str(tmp_path))
    assert "no checkpoint emotion/hann in" in fails(
        capsys,
        *("evaluate", "--task", "emotion", "--checkpoint", "hann", *data),
        *("--store", str(tmp_path)),
    )
    assert "name a RUN, or a checkpoint by --task, --checkpoint" in fails(
        capsys, "evaluate", "--task", "emotion", *data
    )
    assert "name a RUN, or a checkpoint by" in fails(capsys, "evaluate", str(tmp_path), *data)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--layers", "0", "argument --layers: expected 1 or more, got '0'"),
        ("--clip-seconds", "31", "expected more than 0 and at most 30, got '31'"),
        ("--clip-seconds", "long", "expected more than 0 and at most 30, got 'long'"),
        ("--leave-out", "esc50", "argument --leave-out: invalid choice: 'esc50' (choose from"),
    ],
)
def test_options_of_a_fine_tuning_are_checked(
    option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in fails(capsys, "fine-tune", "DIR", "model.bin", "RUN", option, value)


@pytest.mark.parametrize("package", ["transformers", "nncf"])
def test_a_package_that_only_fine_tuning_needs_is_asked_for(
    package: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == package else find(name)
    )
    message = fails(capsys, "fine-tune", "DIR", "model.bin", "RUN")
    assert "the training packages are missing: run `make install-training`" in message


@pytest.mark.parametrize("name", ["Machine-Faults", "machine faults", "-faults", "a--b", "x" * 65])
def test_a_name_is_checked_before_anything_is_read(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    message = "expected lower-case words joined by hyphens, such as machine-faults, got"
    folders = ("--folders", str(tmp_path / "nowhere"))
    assert message in fails(capsys, "train", f"--task={name}", *folders)
    assert message in fails(capsys, "train", "--task", "emotion", f"--name={name}", *folders)


def test_a_task_without_corpora_needs_folders(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    message = fails(
        capsys,
        *("train", "--task", "machine-faults", "--data", str(tmp_path)),
        *("--store", str(tmp_path / "store"), "--out", str(tmp_path / "run")),
    )
    assert "no corpora have labels of the task machine-faults, only of emotion, urban" in message
    assert "--folders" in message
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_interrupted_is_not_exported(
    capsys: pytest.CaptureFixture[str], trained_store: Path, tmp_path: Path
) -> None:
    shutil.copy(trained_store.parent / "run" / "config.json", tmp_path)
    assert "the run has not finished" in fails(capsys, "export", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert f"{tmp_path / 'config.json'}: " in fails(capsys, "export", str(tmp_path))


def test_a_folder_with_another_run_is_not_gone_on_with(
    capsys: pytest.CaptureFixture[str], trained_store: Path, sound_corpus: Path
) -> None:
    run = trained_store.parent / "run"
    before = (run / "config.json").read_text()
    message = fails(
        capsys,
        *("train", "--task", "urban-sound", "--data", str(sound_corpus), "--epochs", "7"),
        *("--batch-size", "8", "--out", str(run), "--cache", str(trained_store.parent / "cache")),
        *("--store", str(trained_store)),
    )
    assert "holds a run with other options" in message
    assert (run / "config.json").read_text() == before


def test_the_card_of_a_trained_checkpoint(trained_store: Path, sound_corpus: Path) -> None:
    card = store.load(trained_store, HANN).card
    assert (card.name, card.network, card.input.window) == ("hann", "resnet50", "hann")
    assert card.training.epochs == 2
    # The weights that it starts from have heard ESC-50, too.
    assert {each.name: each.clips for each in card.training.corpora} == {
        "urbansound8k": 48,
        "esc50": 1929,
    }
    [fold] = card.training.held_out["urbansound8k"]
    assert card.metrics is not None
    assert f"urbansound8k: {fold}" in card.metrics.protocol
    assert card.metrics.command.startswith("earshot train --task urban-sound --window hann")
    assert card.metrics.overall.clips == card.metrics.overall.groups == 16
    assert card.metrics.overall.accuracy >= 0.9
    assert set(card.metrics.overall.recall) == {"siren", "drilling", "dog_bark", "car_horn"}
    assert card.metrics.accuracy_fp32 == pytest.approx(card.metrics.overall.accuracy, abs=0.07)


def test_evaluating_again_gives_the_same_figures(
    trained_store: Path, sound_corpus: Path, tmp_path: Path
) -> None:
    before = store.load(trained_store, HANN).card
    path = trained_store / "urban-sound" / "hann" / "card.json"
    text = path.read_text()
    blank = json.loads(text) | {"metrics": None, "temperature": 1.0}
    path.write_text(json.dumps(blank))
    try:
        main(
            [
                *("evaluate", "--task", "urban-sound", "--checkpoint", "hann"),
                *("--data", str(sound_corpus), "--store", str(trained_store)),
                *("--cache", str(tmp_path), "--out", str(tmp_path / "report")),
            ]
        )
        after = store.load(trained_store, HANN).card
    finally:
        path.write_text(text)
    assert before.metrics is not None
    assert after.metrics is not None
    assert after.metrics.overall == before.metrics.overall
    assert after.temperature == before.temperature
    assert after.metrics.accuracy_fp32 is None


def edited(card: Path, **changes: object) -> None:
    content = json.loads(card.read_text())
    content["training"] |= changes
    card.write_text(json.dumps(content))


def test_the_figures_of_a_sibling_join_the_card(
    capsys: pytest.CaptureFixture[str], trained_store: Path, sound_corpus: Path, tmp_path: Path
) -> None:
    ours, sibling = tmp_path / "ours", tmp_path / "sibling"
    for copy in (ours, sibling):
        shutil.copytree(trained_store, copy)
    command = (
        *("evaluate", "--task", "urban-sound", "--checkpoint", "hann"),
        *("--data", str(sound_corpus), "--store", str(ours), "--sibling", str(sibling)),
        *("--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "report")),
    )
    assert "held out the same as" in fails(capsys, *command)
    card = sibling / "urban-sound" / "hann" / "card.json"
    edited(card, held_out={"urbansound8k": ["2"]}, recipe={"epochs": 99})
    assert "is no sibling of" in fails(capsys, *command)
    recipe = store.load(ours, HANN).card.training.recipe
    edited(card, recipe=recipe)
    main(command)
    [other] = store.load(ours, HANN).card.sibling_metrics
    assert "urbansound8k: 2" in other.protocol
    assert other.overall.clips == 16
    metrics = json.loads((tmp_path / "report" / "sibling-1" / "metrics.json").read_text())
    assert metrics == other.model_dump(mode="json")
    assert (tmp_path / "report" / "sibling-1" / "confusion.png").is_file()


def test_the_report_names_every_answer(trained_store: Path) -> None:
    card = store.load(trained_store, HANN).card
    assert card.metrics is not None
    with (trained_store.parent / "run" / "report" / "predictions.csv").open() as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == card.metrics.overall.clips
    right = [row["label"] == row["predicted"] for row in answers]
    assert sum(right) / len(right) == pytest.approx(card.metrics.overall.accuracy, abs=1e-4)
    of_truth = [float(row["true_label_probability"]) for row in answers]
    assert of_truth == sorted(of_truth)
    assert all(Path(row["file"]).is_file() for row in answers)


def test_own_recordings_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: Counter[bytes]
) -> None:
    """A task of one's own, from its folders to a card, by the run's folder alone."""
    for seed, (label, kind) in enumerate([("purr", "siren"), ("knock", "drilling")] * 4):
        folder = tmp_path / "mine" / label / f"session-{seed // 2}"
        folder.mkdir(parents=True)
        soundfile.write(folder / "sound.wav", make(kind, seed), RATE)
    (tmp_path / "mine" / "knock" / "session-0" / "damaged.wav").write_bytes(b"no sound")
    shutil.copy(tmp_path / "mine/purr/session-0/sound.wav", tmp_path / "mine/purr/session-0/2.wav")
    monkeypatch.chdir(tmp_path)
    main(
        [
            *("train", "--task", "machine-faults", "--folders", "mine", "--name", "small"),
            *("--epochs", "1", "--batch-size", "4", "--out", "run", "--window", "hamming"),
            *("--cache", "cache", "--store", "store", "--hold-out", "folders:session-1"),
            *("--pretrained", "default"),
        ]
    )
    key = ModelKey("machine-faults", "small")
    card = store.load(tmp_path / "store", key).card
    assert card.labels == ("knock", "purr")
    assert card.ood is None
    assert card.input.window == "hamming"
    assert card.training.skipped_clips == 1
    assert card.training.held_out == {"folders": ("session-1",), "urbansound8k": ("1",)}
    # It starts from the shipped urban-sound/hann: whose sounds were heard, and how licensed.
    corpus, *before = card.training.corpora
    assert (corpus.name, corpus.licence, corpus.clips) == ("folders", "not stated", 7)
    shipped = store.load(ROOT / "models_store", HANN).card.training
    assert tuple(before) == shipped.corpora
    assert card.training.pretrained is not None
    assert card.training.pretrained.startswith("the checkpoint urban-sound/hann ")
    assert card.metrics is not None
    assert card.metrics.overall.clips == 2

    # From anywhere else, the run's folder is all that is needed.
    monkeypatch.chdir("/")
    main(["export", str(tmp_path / "run")])
    exported = store.load(tmp_path / "store", key).card
    assert exported.metrics is None
    main(["evaluate", str(tmp_path / "run")])
    again = store.load(tmp_path / "store", key).card
    assert again.metrics is not None
    assert again.metrics.overall == card.metrics.overall
    assert again.metrics.accuracy_fp32 == card.metrics.accuracy_fp32
    assert again.metrics.command == f"earshot evaluate {tmp_path / 'run'}"
    assert (tmp_path / "run" / "report" / "predictions.csv").is_file()

    # Ten files, two of them the same, in the lists of three commands.
    assert len(decoded) == 9
    assert set(decoded.values()) == {1}


def test_a_checkpoint_is_measured_on_recordings_of_others(
    trained_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is fitted on them: what the card says is used, and stays."""
    mine, out = tmp_path / "mine", tmp_path / "out"
    for seed in range(6):
        label = ("siren", "drilling", "dog_bark")[seed % 3]
        (mine / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(mine / label / f"{seed}.wav", make(label, 90 + seed), RATE)
    (mine / "siren" / "damaged.wav").write_bytes(b"no sound")
    key = ModelKey("urban-sound", "hann")
    before = store.load(trained_store, key).card
    ask = ["evaluate", "--task", "urban-sound", "--checkpoint", "hann", "--folders", str(mine)]
    ask += ["--store", str(trained_store), "--out", str(out), "--cache", str(tmp_path / "cache")]
    main(ask)
    assert store.load(trained_store, key).card == before
    with (out / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        sorted(row["label"] for row in rows) == ["dog_bark"] * 2 + ["drilling"] * 2 + ["siren"] * 2
    )
    measured = json.loads((out / "metrics.json").read_text())
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert measured["overall"]["accuracy"] == pytest.approx(right / 6, abs=1e-4)
    assert measured["overall"]["groups"] == 6
    assert measured["command"] == "earshot " + " ".join(ask)
    assert f"{right / 6:.1%}" in capsys.readouterr().out

    (mine / "siren").rename(mine / "whale")
    with pytest.raises(SystemExit, match="label 'whale' is not one of air_conditioner"):
        main(ask)


def test_what_cannot_end_well_is_not_begun(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("purr/anna/1.wav", "purr/ben/1.wav", "knock/anna/1.wav", "knock/anna/2.wav"):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).touch()
    train = (
        *("train", "--task", "urban-sound", "--folders", str(tmp_path / "mine")),
        *("--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")),
    )
    message = fails(capsys, *train, "--store", str(tmp_path / "store"))
    assert "labels with recordings of one group only" in message
    assert "knock: folders:anna of folders" in message
    (tmp_path / "file").touch()
    assert "cannot write" in fails(capsys, *train, "--store", str(tmp_path / "file" / "store"))
    assert not (tmp_path / "cache").exists()


def test_tables_need_nothing_that_trains() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'lightning', 'rich', 'sklearn'))); "
        "from earshot.cli import main; main(['tables', '--store', 'models_store'])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    cards = measured_cards(ROOT / "models_store")
    assert process.stdout == "".join(table(cards) + "\n" for table in TABLES)


def test_tables_of_no_store_say_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert f"the store {tmp_path} holds no checkpoints that were measured" in fails(
        capsys, "tables", "--store", str(tmp_path)
    )
