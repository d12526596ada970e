"""The command line as its user meets it. A whole training is in tests/e2e and conftest."""

import json
from pathlib import Path

import pytest

from app.checkpoints import store
from training.cli import main


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code not in (0, None)
    return f"{stopped.value.code}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("command", ["pretrain", "train", "export", "evaluate"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "--data DIR" in capsys.readouterr().out


def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    assert "none of the folders UrbanSound8K is here" in fails(
        capsys, "train", "--task", "urban-sound", *data, "--out", str(tmp_path / "run")
    )
    assert "invalid choice: 'kaiser' (choose from" in fails(
        capsys, "train", "--task", "emotion", "--window", "kaiser", *data
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
    assert card.training.epochs == 6
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
