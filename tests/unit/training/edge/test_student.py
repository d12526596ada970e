"""`earshot export --edge`: a student of a run, from its recordings to the store."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from app.audio.network_inputs import WaveformConfig
from app.checkpoints import store
from app.checkpoints.store import ModelKey
from app.inference.engine import OpenVinoEngine, recording_outputs
from earshot.cli import main
from tests.support.sounds import SOUNDS, make
from training.runs import load_config

EDGE = ModelKey("urban-sound", "edge")


def test_a_runs_checkpoint_teaches_a_student(trained_store: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained_store.parent / "run", tmp_path / "run")
    main(["export", str(run), "--edge", "--store", str(tmp_path / "store")])
    student = store.load(tmp_path / "store", EDGE)
    teacher = load_config(run)
    assert load_config(run / "edge").teacher == teacher.store / "urban-sound" / "hann"
    card = student.card
    assert isinstance(card.input, WaveformConfig)
    assert card.input.clip_seconds == 4.0
    assert card.training.held_out == load_config(run / "edge").held_out
    assert (card.network, card.metrics) == ("vgg", None)
    assert student.model.stat().st_size <= 120_000
    # It has heard little, but tells noise from tones.
    engine = OpenVinoEngine(student.model)
    right = [
        card.labels[
            int(recording_outputs(engine, make(label, 70_000 + seed), card.input)[0].argmax())
        ]
        == label
        for label in SOUNDS
        for seed in range(4)
    ]
    assert np.mean(right) >= 0.5

    main(["evaluate", str(run / "edge"), "--store", str(tmp_path / "store")])
    measured = store.load(tmp_path / "store", EDGE)
    assert measured.card.metrics is not None
    assert measured.card.metrics.overall.clips == 16
    assert measured.card.metrics.accuracy_fp32 is not None
    facts = {each.key: each.value for each in onnx.load(measured.model).metadata_props}
    assert facts["temperature"] == str(measured.card.temperature)
    assert measured.card.temperature != 1.0


def test_weights_for_a_gpu_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path), "--edge", "--weights"])
    assert "--weights: not allowed with argument --edge" in capsys.readouterr().err
