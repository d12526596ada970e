"""`earshot fit` on sounds made by arithmetic, and on what it cannot learn from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from app.audio.network_inputs import network_input
from app.checkpoints import store
from app.checkpoints.store import ModelKey
from app.inference.engine import OpenVinoEngine
from earshot.cli import main
from tests.support.sounds import RATE, make
from training.linear_probe import command
from training.linear_probe.backbone import write_probe
from training.linear_probe.head import ProbeHead

STORE = Path(__file__).parents[4] / "models_store"
LABELS = ("car_horn", "drilling", "siren")


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three labels, each of four files."""
    for label in LABELS:
        for number in range(4):
            write(tmp_path / "sounds" / label / f"{number}.wav", make(label, number))
    return tmp_path / "sounds"


@pytest.fixture
def fit(folder: Path, tmp_path: Path) -> Callable[[], store.Checkpoint]:
    def run() -> store.Checkpoint:
        main(["fit", str(folder), "--task", "machines", "--store", str(tmp_path / "store")])
        return store.load(tmp_path / "store", ModelKey("machines", "fit"))

    return run


@pytest.fixture
def refusal(
    fit: Callable[[], store.Checkpoint], capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    def run() -> str:
        with pytest.raises(SystemExit) as stopped:
            fit()
        return str(stopped.value.code)

    return run


def test_the_card_says_what_was_fitted_and_measured(
    fit: Callable[[], store.Checkpoint], capsys: pytest.CaptureFixture[str]
) -> None:
    card = fit().card
    base = store.load(STORE, ModelKey("urban-sound", "hann")).card
    assert card.labels == LABELS
    assert card.input == base.input
    assert [corpus.name for corpus in card.training.corpora] == ["esc50", "urbansound8k", "folders"]
    assert card.training.corpora[-1].clips == card.training.corpora[-1].groups == 12
    assert card.training.held_out == base.training.held_out
    assert card.metrics is not None
    assert card.metrics.overall.accuracy == 1.0
    assert card.metrics.overall.clips == 12
    assert "Cross-validated over 4 folds" in card.metrics.protocol
    assert card.metrics.command.startswith("earshot fit ")
    assert card.ood is not None
    assert 0 < card.ood.threshold < 1
    printed = capsys.readouterr().out
    assert "machines/fit: 100.0% of 12 recordings of 12 groups right" in printed
    assert "siren     100% of 4 recordings found" in printed


def test_the_shipped_network_stays_as_it_is_below_the_new_head(tmp_path: Path) -> None:
    base = store.load(STORE, ModelKey("urban-sound", "hann"))
    rng = np.random.default_rng(0)
    head = ProbeHead(
        rng.normal(size=(3, 2048)).astype(np.float32),
        np.array([1, 2, 3], np.float32),
        rng.normal(size=(3, 2048)).astype(np.float32),
    )
    path = tmp_path / "model.onnx"
    write_probe(base, head, path)
    onnx.checker.check_model(onnx.load(path))
    clips = [network_input(make(label, 1, seconds=4.0), base.card.input) for label in LABELS]
    embeddings = OpenVinoEngine(base.model, embeds=True).infer(np.stack(clips))
    outputs = OpenVinoEngine(path).infer(np.stack(clips))
    np.testing.assert_allclose(outputs, head.outputs(embeddings), atol=0.05)
    again = OpenVinoEngine(path, embeds=True).infer(np.stack(clips))
    np.testing.assert_allclose(again, embeddings, atol=0.01)


def test_one_recording_of_a_label_is_too_few(folder: Path, refusal: Callable[[], str]) -> None:
    for number in (1, 2, 3):
        (folder / "siren" / f"{number}.wav").unlink()
    assert "recordings of one group only" in (message := refusal())
    assert "siren" in message
    assert "Add recordings of another speaker or source" in message


def test_one_group_is_too_few(folder: Path, refusal: Callable[[], str]) -> None:
    for path in list(folder.glob("siren/*.wav")):
        (folder / "siren" / "morning").mkdir(exist_ok=True)
        path.rename(folder / "siren" / "morning" / path.name)
    assert "siren: folders:morning" in refusal()


def test_a_silent_recording_is_left_out_and_told(
    folder: Path, fit: Callable[[], store.Checkpoint], caplog: pytest.LogCaptureFixture
) -> None:
    write(folder / "siren" / "0.wav", np.zeros(RATE))
    card = fit().card
    assert card.training.skipped_clips == 1
    assert f"left out {folder / 'siren' / '0.wav'}: " in caplog.text


def test_a_label_that_is_all_silent_is_an_error(folder: Path, refusal: Callable[[], str]) -> None:
    for number in range(4):
        write(folder / "siren" / f"{number}.wav", np.zeros(RATE + number))
    assert refusal().startswith("earshot: no recording of siren can be heard")


def test_a_folder_without_recordings_is_an_error(folder: Path, refusal: Callable[[], str]) -> None:
    for path in folder.glob("siren/*.wav"):
        path.rename(path.with_suffix(".txt"))
    assert "siren: no recordings in this label's folder" in refusal()


def test_a_copy_under_another_label_is_an_error(folder: Path, refusal: Callable[[], str]) -> None:
    write(folder / "siren" / "0.wav", make("drilling", 0))
    assert "hold the same audio" in (message := refusal())
    assert str(folder / "siren" / "0.wav") in message


def test_of_too_many_recordings_as_many_of_each_label_are_read(
    fit: Callable[[], store.Checkpoint],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "MAX_RECORDINGS", 9)
    card = fit().card
    assert "12 recordings: 9 of them are read" in caplog.text
    assert card.metrics is not None
    assert [sum(row) for row in card.metrics.overall.confusion] == [3, 3, 3]


def test_few_groups_are_warned_of(
    fit: Callable[[], store.Checkpoint], caplog: pytest.LogCaptureFixture
) -> None:
    fit()
    assert "car_horn, drilling, siren: fewer than 5 groups" in caplog.text
