"""The command line as its user meets it. A whole training is in tests/e2e and conftest."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import soundfile

from app.checkpoints import store
from earshot.cli import main
from tests.support.sounds import RATE, make


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code not in (0, None)
    return f"{stopped.value.code}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("command", ["pretrain", "train", "export", "evaluate", "compare-windows"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "--data DIR" in capsys.readouterr().out


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
    assert "the run has not finished" in fails(capsys, "export", "--run", str(tmp_path), *data)
    assert "no checkpoint for emotion with the hann window" in fails(
        capsys, "evaluate", "--task", "emotion", *data, "--store", str(tmp_path)
    )


def test_a_folder_with_another_run_is_not_gone_on_with(
    capsys: pytest.CaptureFixture[str], trained_store: Path, sound_corpus: Path
) -> None:
    run = trained_store.parent / "run"
    message = fails(
        capsys,
        *("train", "--task", "urban-sound", "--data", str(sound_corpus), "--epochs", "7"),
        *("--batch-size", "8", "--out", str(run), "--cache", str(trained_store.parent / "cache")),
    )
    assert "holds a run with other options" in message


def test_the_card_of_a_trained_checkpoint(trained_store: Path, sound_corpus: Path) -> None:
    card = store.load(trained_store, "urban-sound", "hann").card
    assert card.training.epochs == 12
    assert sum(corpus.clips for corpus in card.training.corpora) == 48
    [(corpus, [fold])] = card.training.held_out.items()
    assert corpus == "urbansound8k"
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
    before = store.load(trained_store, "urban-sound", "hann").card
    path = trained_store / "urban-sound" / "hann" / "card.json"
    text = path.read_text()
    blank = json.loads(text) | {"metrics": None, "temperature": 1.0}
    path.write_text(json.dumps(blank))
    try:
        main(
            [
                *("evaluate", "--task", "urban-sound", "--data", str(sound_corpus)),
                *("--store", str(trained_store), "--cache", str(tmp_path)),
            ]
        )
        after = store.load(trained_store, "urban-sound", "hann").card
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
        *("evaluate", "--task", "urban-sound", "--data", str(sound_corpus)),
        *("--store", str(ours), "--sibling", str(sibling)),
        *("--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "report")),
    )
    assert "held out the same as" in fails(capsys, *command)
    card = sibling / "urban-sound" / "hann" / "card.json"
    edited(card, held_out={"urbansound8k": ["2"]}, recipe={"epochs": 99})
    assert "is no sibling of" in fails(capsys, *command)
    recipe = store.load(ours, "urban-sound", "hann").card.training.recipe
    edited(card, recipe=recipe)
    main(command)
    [other] = store.load(ours, "urban-sound", "hann").card.sibling_metrics
    assert "urbansound8k: 2" in other.protocol
    assert other.overall.clips == 16
    metrics = json.loads((tmp_path / "report" / "sibling-1" / "metrics.json").read_text())
    assert metrics == other.model_dump(mode="json")
    assert (tmp_path / "report" / "sibling-1" / "confusion.png").is_file()


def test_the_report_names_every_answer(trained_store: Path) -> None:
    card = store.load(trained_store, "urban-sound", "hann").card
    assert card.metrics is not None
    with (trained_store.parent / "run" / "report" / "predictions.csv").open() as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == card.metrics.overall.clips
    right = [row["label"] == row["answer"] for row in answers]
    assert sum(right) / len(right) == pytest.approx(card.metrics.overall.accuracy, abs=1e-4)
    of_truth = [float(row["of_true_label"]) for row in answers]
    assert of_truth == sorted(of_truth)
    assert all(Path(row["file"]).is_file() for row in answers)


def test_own_recordings_and_labels(tmp_path: Path) -> None:
    for seed, (label, kind) in enumerate([("purr", "siren"), ("knock", "drilling")] * 4):
        folder = tmp_path / "mine" / label / f"session-{seed // 2}"
        folder.mkdir(parents=True)
        soundfile.write(folder / "sound.wav", make(kind, seed), RATE)
    (tmp_path / "mine" / "knock" / "session-0" / "damaged.wav").write_bytes(b"no sound")
    main(
        [
            *("train", "--task", "urban-sound", "--folders", str(tmp_path / "mine")),
            *("--epochs", "1", "--batch-size", "4", "--out", str(tmp_path / "run")),
            *("--cache", str(tmp_path / "cache"), "--store", str(tmp_path / "store")),
            *("--hold-out", "folders:session-1"),
        ]
    )
    card = store.load(tmp_path / "store", "urban-sound", "hann").card
    assert card.labels == ("knock", "purr")
    assert card.training.skipped_clips == 1
    assert card.training.held_out == {"folders": ("session-1",)}
    [corpus] = card.training.corpora
    assert (corpus.name, corpus.licence, corpus.clips) == ("folders", "not stated", 6)
    assert card.metrics is not None
    assert card.metrics.overall.clips == 2


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
    assert "labels with clips of one group only" in message
    assert "knock: folders:anna of folders" in message
    (tmp_path / "file").touch()
    assert "cannot write" in fails(capsys, *train, "--store", str(tmp_path / "file" / "store"))
    assert not (tmp_path / "cache").exists()
