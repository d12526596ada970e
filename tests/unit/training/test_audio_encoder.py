"""`earshot fit-audio-encoder`, from folders to a checkpoint that answers."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.audio.network_inputs import WaveformConfig
from app.checkpoints import store
from app.checkpoints.store import ModelKey
from app.inference.engine import OpenVinoEngine, recording_outputs
from earshot.cli import main
from tests.support.sounds import RATE, make
from training.networks.audio_encoder import SAMPLE_RATE, load_audio_encoder

KEY = ModelKey("machines", "audio-encoder")
LABELS = ("drilling", "siren")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two labels, each of four sessions of two seconds."""
    for label in LABELS:
        for number in range(4):
            path = tmp_path / "sounds" / label / f"session-{number}" / "sound.wav"
            path.parent.mkdir(parents=True)
            soundfile.write(path, make(label, number), RATE)
    return tmp_path / "sounds"


def test_a_head_is_fitted_written_and_measured(
    folders: Path, aisfx_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(
        [
            *("fit-audio-encoder", "--task", "machines", "--folders", str(folders)),
            *("--store", "store", "--hold-out", "folders:session-3"),
            *("--aisfx", str(aisfx_weights)),
        ]
    )
    checkpoint = store.load(tmp_path / "store", KEY)
    card = checkpoint.card
    assert (card.labels, card.network) == (LABELS, "audio-encoder")
    assert isinstance(card.input, WaveformConfig)
    assert card.input.sample_rate == SAMPLE_RATE
    assert card.training.held_out == {"folders": ("session-3",)}
    assert card.training.corpora[0].clips == 6
    assert card.metrics is not None
    assert card.metrics.overall.accuracy == 1.0
    # Its larger network has 8 bits, and it says nearly the same as with 32.
    fp32 = tmp_path / "runs" / "machines-audio-encoder" / "model.fp32.onnx"
    assert checkpoint.model.stat().st_size < 0.6 * fp32.stat().st_size
    engines = [OpenVinoEngine(path) for path in (fp32, checkpoint.model)]
    for label in LABELS:
        samples = np.repeat(make(label, seed=9), 3)[: 4 * SAMPLE_RATE].astype(np.float32)
        exact, quantised = (recording_outputs(each, samples, card.input)[0] for each in engines)
        assert LABELS[exact.argmax()] == LABELS[quantised.argmax()]
        np.testing.assert_allclose(quantised, exact, atol=0.5)
    # Its embedding is what the head reads.
    embedding = recording_outputs(OpenVinoEngine(fp32, embeds=True), samples, card.input)
    assert embedding.shape == (1, load_audio_encoder(2, aisfx_weights).linear.in_features)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"no weights", "not the weights of aiSFX")],
)
def test_weights_that_are_none_are_told(
    folders: Path, tmp_path: Path, content: bytes | None, words: str
) -> None:
    weights = tmp_path / "weights.pth"
    if content is not None:
        weights.write_bytes(content)
    with pytest.raises(SystemExit, match=words):
        main(
            [
                *("fit-audio-encoder", "--task", "machines", "--folders", str(folders)),
                *("--store", str(tmp_path / "store"), "--aisfx", str(weights)),
            ]
        )
