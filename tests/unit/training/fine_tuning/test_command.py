"""The command as its user meets it, with tiny encoders and generated sounds."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
from transformers import PreTrainedModel

from earshot.cli import main
from tests.support.sounds import RATE, make, write_esc50
from tests.unit.training.networks.test_speech_encoder import encoder_of, wavlm, whisper
from training.corpora import LabeledRecording
from training.corruptions.material import load_training_backgrounds
from training.fine_tuning.command import _held_out, make_config, recording_logits
from training.fine_tuning.spectrograms import whisper_log_mel
from training.networks.speech_encoder import SpeechEncoderClassifier


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small RAVDESS: six actors, each neutral, happy and sad."""
    root = tmp_path_factory.mktemp("corpora")
    for actor in range(1, 7):
        folder = root / "RAVDESS" / f"Actor_{actor:02}"
        folder.mkdir(parents=True)
        for code, kind in (("01", "siren"), ("03", "drilling"), ("04", "dog_bark")):
            name = f"03-01-{code}-01-01-01-{actor:02}.wav"
            soundfile.write(folder / name, make(kind, actor, seconds=0.8), RATE)
    return root


def fails(*arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return str(stopped.value.code)


@pytest.mark.parametrize("model", [whisper, wavlm])
def test_from_an_encoder_to_graphs(
    model: Callable[[], PreTrainedModel],
    voices: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "training")
    model().save_pretrained(tmp_path / "encoder")
    run = tmp_path / "run"
    command = (
        *("fine-tune", str(voices), str(tmp_path / "encoder"), str(run), "--layers", "2"),
        *("--clip-seconds", "0.5", "--steps", "2", "--batch-size", "4"),
        *("--cache", str(tmp_path / "cache")),
    )
    main(command)
    # A fifth of six actors, three recordings each.
    assert "ravdess: UAR" in caplog.text
    assert "% of 3 recordings" in caplog.text
    is_whisper = model is whisper
    shape = (2, 1, 20, 51) if is_whisper else (2, RATE // 2)
    for name in ("model.fp32.onnx", "model.onnx"):
        session = onnxruntime.InferenceSession(run / name)
        [graph_input] = session.get_inputs()
        assert graph_input.name == ("spectrogram" if is_whisper else "waveform")
        assert tuple(graph_input.shape[1:]) == shape[1:]
        (logits,) = session.run(None, {graph_input.name: np.zeros(shape, np.float32)})
        assert logits.shape == (2, 7)
    assert "holds a run with other options" in fails(*command, "--seed", "1")


def test_what_is_wrong_is_one_line(voices: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "model.bin"
    damaged.write_bytes(b"no")
    run = str(tmp_path / "run")
    assert "not a CTranslate2 model, or incomplete" in fails(
        "fine-tune", str(voices), str(damaged), run
    )
    assert "cannot load the speech encoder" in fails(
        "fine-tune", str(voices), str(tmp_path / "nowhere"), run
    )
    whisper().save_pretrained(tmp_path / "encoder")
    encoder = str(tmp_path / "encoder")
    assert "cannot keep 9 layers of an encoder of 3" in fails(
        "fine-tune", str(voices), encoder, run, "--layers", "9"
    )
    assert "none of the folders RAVDESS" in fails(
        "fine-tune", str(tmp_path), encoder, run, "--layers", "2"
    )
    assert not Path(run).exists()


def recording(corpus: str, speaker: str) -> LabeledRecording:
    return LabeledRecording(Path("x.wav"), "sad", corpus, f"{corpus}:{speaker}", speaker)


def test_a_corpus_that_is_left_out_is_tested_on_as_a_whole(tmp_path: Path) -> None:
    config = make_config(
        data=tmp_path,
        encoder="name/of-hub",
        layers=1,
        clip_seconds=1.0,
        steps=1,
        batch_size=1,
        leave_out=["tess"],
        seed=0,
        cache=tmp_path,
    )
    assert config.encoder == "name/of-hub"
    recordings = [recording("cremad", f"{n}") for n in range(10)]
    held_out = _held_out([*recordings, recording("tess", "OAF"), recording("tess", "YAF")], config)
    assert held_out["tess"] == ("OAF", "YAF")
    assert len(held_out["cremad"]) == 2


def test_a_recording_is_cut_as_the_service_cuts_it() -> None:
    network = SpeechEncoderClassifier(encoder_of(wavlm()), 7).eval()
    log_mel = whisper_log_mel(0.5)
    for seconds, clips in ((0.2, 1), (0.5, 1), (1.0, 3), (1.1, 4)):
        logits = recording_logits(network, make("siren", 1, seconds=seconds), log_mel)
        assert logits.shape == (clips, 7)
        assert logits.dtype == np.float32


def test_backgrounds_of_training_are_not_those_of_tests(voices: Path, tmp_path: Path) -> None:
    def voice(actor: str) -> LabeledRecording:
        path = next((voices / "RAVDESS" / "Actor_01").iterdir())
        return LabeledRecording(path, "sad", "ravdess", f"ravdess:{actor}", actor)

    def pools(*actors: str) -> set[str]:
        train = [voice(actor) for actor in actors]
        found = load_training_backgrounds(
            voices, "emotion", train, sample_rate=RATE, cache=tmp_path
        )
        return set(found)

    assert pools("1", "2") == {"speech"}
    assert pools("1") == set()
    # Actor 17 is held out of all training, for the background of tests.
    assert pools("1", "17") == set()


def test_noise_is_in_the_background_where_esc50_is_there(tmp_path: Path) -> None:
    write_esc50(tmp_path, 1)
    pools = load_training_backgrounds(
        tmp_path, "emotion", [], sample_rate=RATE, cache=tmp_path / "cache"
    )
    assert set(pools) == {"noise"}
    [noise] = pools["noise"].draw(1, np.random.default_rng(0))
    assert noise.size > 0
    assert np.abs(noise).max() > 0
