"""The command as its user meets it, with tiny encoders and generated sounds."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
from transformers import PreTrainedModel

from app.audio.network_inputs import WaveformConfig
from app.checkpoints import store
from app.checkpoints.store import ModelKey
from earshot.cli import main
from tests.support.serving import serve
from tests.support.sounds import RATE, encode, make, write_esc50
from tests.unit.training.networks.test_speech_encoder import encoder_of, wavlm, whisper
from training.corpora import LabeledRecording
from training.corruptions.material import load_training_backgrounds
from training.fine_tuning.command import _held_out, make_config, recording_logits
from training.networks.speech_encoder import SpeechEncoderClassifier
from training.tasks import TASKS

STORE = Path(__file__).parents[4] / "models_store"


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


def serves(root: Path) -> None:
    """A server classifies and explains with the one checkpoint of a store."""
    files = {"file": encode(make("siren", 1, seconds=0.8))}
    with serve(models_dir=root) as client:
        answer = client.post("/classify/emotion", files=files, params={"top_k": 7}).json()
        assert answer["checkpoint"]["name"] == "speech-encoder"
        assert sum(each["probability"] for each in answer["ranked"]) == pytest.approx(1, abs=1e-3)
        assert len(answer["segments"]) >= 1
        explained = client.post("/explain/emotion", files=files, params={"format": "json"}).json()
        assert explained["method"] == "occlusion"
        assert np.shape(explained["map"]) == (
            len(explained["frequencies"]),
            len(explained["times"]),
        )
        picture = client.post("/explain/emotion", files=files)
        assert picture.headers["content-type"] == "image/png"


@pytest.mark.parametrize("model", [whisper, wavlm])
def test_from_an_encoder_to_answers(
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
        *("--cache", str(tmp_path / "cache"), "--store", str(tmp_path / "store")),
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
    card = store.load(tmp_path / "store", ModelKey("emotion", "speech-encoder")).card
    assert card.input.kind == ("log-mel" if is_whisper else "waveform")
    assert card.network == "speech-encoder"
    assert card.files == {"model.onnx": store.sha256(run / "model.onnx")}
    assert card.training.recipe["layers"] == 2
    assert card.training.recipe["steps"] == 2
    assert card.metrics is not None
    assert card.metrics.overall.clips == 3
    serves(tmp_path / "store")
    assert "holds a run with other options" in fails(*command, "--seed", "1")


def constants(graph: Path) -> dict[str, np.ndarray]:
    return {
        each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(graph).graph.initializer
    }


def test_a_head_is_fitted_anew_on_the_graph_that_is_served(voices: Path, tmp_path: Path) -> None:
    whisper().save_pretrained(tmp_path / "encoder")
    options = ("--cache", str(tmp_path / "cache"), "--store", str(tmp_path / "store"))
    main(
        (
            *("fine-tune", str(voices), str(tmp_path / "encoder"), str(tmp_path / "run")),
            *("--layers", "2", "--clip-seconds", "0.5", "--steps", "1", "--batch-size", "2"),
            *options,
        )
    )
    key = ModelKey("emotion", "speech-encoder")
    before = store.load(tmp_path / "store", key)
    old = constants(before.model)
    main(("refit-head", "--data", str(voices), *options, "--seed", "1"))
    after = store.load(tmp_path / "store", key)
    assert after.card.version != before.card.version
    assert after.card.metrics is None
    assert after.card.training == before.card.training
    new = constants(after.model)
    assert old.keys() == new.keys()
    changed = {name for name, values in new.items() if not np.array_equal(values, old[name])}
    assert {"head_projection_int8", "head_linear"} <= changed
    assert all(name.startswith("head_") for name in changed)
    # The same seed gives back what fine-tuning itself had fitted.
    main(("refit-head", "--data", str(voices), *options, "--seed", "0"))
    for name, values in constants(store.load(tmp_path / "store", key).model).items():
        np.testing.assert_allclose(values, old[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_network_without_a_frozen_head_is_not_refitted(voices: Path, tmp_path: Path) -> None:
    shutil.copytree(STORE / "emotion" / "hann", tmp_path / "store" / "emotion" / "hann")
    arguments = ("--data", str(voices), "--store", str(tmp_path / "store"))
    assert "has no head on frozen layers; earshot fine-tune makes one" in fails(
        "refit-head", *arguments, "--checkpoint", "hann"
    )


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


def test_a_corpus_that_is_left_out_holds_out_nobody(tmp_path: Path) -> None:
    config = make_config(
        data=tmp_path,
        encoder="name/of-hub",
        layers=1,
        clip_seconds=1.0,
        steps=1,
        batch_size=1,
        leave_out=["emodb"],
        seed=0,
        cache=tmp_path,
        store=tmp_path,
        name="encoder",
    )
    assert config.encoder == "name/of-hub"
    everyone = [
        recording(corpus, speaker)
        for corpus, speakers in TASKS["emotion"].held_out.items()
        for speaker in speakers
    ]
    expected = {**TASKS["emotion"].held_out}
    del expected["emodb"]
    assert _held_out(everyone, config) == expected


def test_a_recording_is_cut_as_the_service_cuts_it() -> None:
    network = SpeechEncoderClassifier(encoder_of(wavlm()), 7).eval()
    config = WaveformConfig(
        sample_rate=RATE, clip_seconds=0.5, clip_hop_seconds=0.25, padding="pad"
    )
    for seconds, clips in ((0.2, 1), (0.5, 1), (1.0, 3), (1.1, 4)):
        logits = recording_logits(network, make("siren", 1, seconds=seconds), config)
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
