"""Weights to start from: those of a checkpoint that is served."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.audio.clips import pad_or_repeat
from app.audio.network_inputs import network_input
from app.checkpoints import store
from app.checkpoints.card import Corpus, Training
from app.checkpoints.store import Checkpoint, ModelKey
from app.inference.engine import OpenVinoEngine
from tests.support.sounds import SOUNDS, make
from training.corpora import LabeledRecording
from training.data_source import DataSource
from training.networks import AudioClassifier, build_network
from training.pretrained import (
    Pretraining,
    default_start,
    load_served,
    load_start,
    require_start,
    save_pretrained,
)
from training.recipes import DEFAULT_RECIPE, log_mel_config
from training.runs import RunConfig, RunError, RunRecord, lock_run_config, save_run
from training.splits import Split

STORE = Path(__file__).parents[3] / "models_store"


@pytest.fixture(scope="module")
def served() -> Checkpoint:
    return store.load(STORE, ModelKey("urban-sound", "hann"))


@pytest.fixture(scope="module")
def clips(served: Checkpoint) -> torch.Tensor:
    config = served.card.input
    waves = [make(kind, seed) for kind in SOUNDS for seed in range(16 // len(SOUNDS) + 1)]
    padded = [pad_or_repeat(wave, config.clip_samples, "repeat") for wave in waves]
    inputs = [network_input(clip[: config.clip_samples], config) for clip in padded]
    return torch.from_numpy(np.stack(inputs))


NOTHING = Split([], [])


def network_of(served: Checkpoint) -> AudioClassifier:
    return build_network("resnet50", len(served.card.labels))


def recording(corpus: str, fold: str) -> LabeledRecording:
    return LabeledRecording(Path("x.wav"), "siren", corpus, f"{corpus}:{fold}", fold)


def test_a_served_checkpoint_gives_its_outputs_in_training_too(
    served: Checkpoint, clips: torch.Tensor
) -> None:
    network = network_of(served)
    heard = [
        recording("urbansound8k", "5"),
        recording("urbansound8k", "1"),
        recording("tess", "OAF"),
    ]
    found = load_served(served, network, served.card.labels, heard, clips)
    # Fold 1 is held out, and no voice was learned from.
    assert found.groups == {"urbansound8k:5"}
    assert "urban-sound/hann" in found.description
    expected = OpenVinoEngine(served.model).infer(clips.numpy())[:, : len(served.card.labels)]
    with torch.no_grad():
        for outputs in (network.eval()(clips), network.train()(clips)):
            # Of activations in 8 bits; the logits spread by several times as much.
            np.testing.assert_allclose(outputs, expected, atol=0.6)
            assert (outputs.numpy().argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9
    assert np.std(expected) > 1


def test_the_head_is_new_for_other_labels(served: Checkpoint, clips: torch.Tensor) -> None:
    network = build_network("resnet50", 2)
    before = network.linear.weight.detach().clone()
    load_served(served, network, ["a", "b"], [], clips)
    torch.testing.assert_close(network.linear.weight.detach(), before)


def test_what_is_no_such_network_is_refused(
    served: Checkpoint, clips: torch.Tensor, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(served.model.read_bytes().replace(b"layer4.2", b"layer9.9"))
    other = store.save(tmp_path / "store", served.card, {"model.onnx": model})
    with pytest.raises(RunError, match="not the weights of ResNetAudioClassifier"):
        load_served(other, network_of(served), served.card.labels, [], clips)


def test_a_checkpoint_is_found_by_its_folder(served: Checkpoint) -> None:
    assert store.load_folder(STORE / "urban-sound" / "hann").card == served.card


@pytest.mark.parametrize(
    ("task", "window", "expected"),
    [
        ("emotion", "hamming", "emotion/hamming"),
        ("urban-sound", "rectangular", "urban-sound/rectangular"),
        ("birds", "hamming", "urban-sound/hann"),
    ],
)
def test_by_default_a_task_starts_from_its_shipped_checkpoint(
    task: str, window: str, expected: str
) -> None:
    assert default_start(task, window) == STORE / expected
    require_start(STORE / expected, "resnet50", NOTHING)


def test_a_shipped_checkpoint_is_no_start_for_what_it_heard(
    served: Checkpoint, clips: torch.Tensor
) -> None:
    folder = STORE / "urban-sound" / "hann"
    one, two = recording("urbansound8k", "1"), recording("urbansound8k", "2")
    network = network_of(served)
    start = load_start(folder, network, ["a"], Split([two], [one]), lambda: clips[:4])
    assert start.training == served.card.training
    with pytest.raises(RunError, match=r"hann: trained on 1 of the held-out groups"):
        load_start(folder, network, ["a"], Split([one], [two]), lambda: clips[:4])
    with pytest.raises(RunError, match=r"hann: trained on 1 of the held-out groups"):
        require_start(folder, "resnet50", Split([one], [two]))
    require_start(folder, "resnet50", Split([two], [one]))


def finished_run(folder: Path, network: str = "vgg", **changes: object) -> AudioClassifier:
    """Write a run on `folders:anna` and `folders:ben` that held out `folders:eve`."""
    folder.mkdir()
    config = RunConfig(
        task="birds",
        name="hann",
        network=network,
        window="hann",
        source=DataSource(Path("/data"), folder_per_label=True),
        recipe=DEFAULT_RECIPE,
        held_out={"folders": ("eve",)},
        seed=0,
        pretrained=None,
        cache=Path("/cache"),
        store=Path("/store"),
    )
    training = Training(
        corpora=(Corpus(name="folders", licence="not stated", clips=2, groups=2),),
        held_out={"folders": ("eve",)},
        skipped_clips=0,
        epochs=1,
        seed=0,
        pretrained=None,
    )
    record = RunRecord(
        labels=("owl", "wren"), input=log_mel_config(DEFAULT_RECIPE, "hann"), training=training
    )
    own = build_network(network, 2)
    lock_run_config(folder, config)
    save_run(folder, record, own, frozenset({"folders:anna", "folders:ben"}))
    return own


def no_clips() -> torch.Tensor:
    raise AssertionError("only a served graph needs them")


def test_a_finished_run_is_a_start(tmp_path: Path) -> None:
    own = finished_run(tmp_path / "run")
    require_start(tmp_path / "run", "vgg", NOTHING)
    split = Split([recording("folders", "anna")], [recording("folders", "eve")])
    network = build_network("vgg", 2)
    start = load_start(tmp_path / "run", network, ["owl", "wren"], split, no_clips)
    assert start.groups == {"folders:anna", "folders:ben"}
    assert start.description == "the run birds/hann"
    for name, weight in own.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight), name

    other = build_network("vgg", 3)
    before = other.linear.weight.detach().clone()
    load_start(tmp_path / "run", other, ["owl", "wren", "finch"], split, no_clips)
    assert torch.equal(other.linear.weight, before)
    backbone = own.backbone.state_dict()
    assert all(torch.equal(other.backbone.state_dict()[name], w) for name, w in backbone.items())

    heard = Split([recording("folders", "eve")], [recording("folders", "ben")])
    with pytest.raises(RunError, match=r"run: trained on 1 of .* \(folders:ben\)"):
        load_start(tmp_path / "run", network, ["owl", "wren"], heard, no_clips)
    with pytest.raises(RunError, match=r"run: trained on 1 of .* \(folders:ben\)"):
        require_start(tmp_path / "run", "vgg", heard)


def test_what_is_no_start_is_told_before_anything_is_read(tmp_path: Path) -> None:
    accepted = "weights to start from are `default`, STORE/TASK/CHECKPOINT, the folder of a fin"
    with pytest.raises(RunError, match=f"nowhere: no such file or folder; {accepted}"):
        require_start(tmp_path / "nowhere", "resnet50", NOTHING)
    with pytest.raises(RunError, match=f"neither a checkpoint nor a run; {accepted}"):
        require_start(tmp_path, "resnet50", NOTHING)
    (tmp_path / "file").write_bytes(b"nothing")
    with pytest.raises(RunError, match=f"not weights of earshot pretrain: .*; {accepted}"):
        require_start(tmp_path / "file", "resnet50", NOTHING)
    finished_run(tmp_path / "run")
    with pytest.raises(RunError, match="weights of a vgg, and a resnet50 is to be trained"):
        require_start(tmp_path / "run", "resnet50", NOTHING)
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(RunError, match="the run has not finished"):
        require_start(tmp_path / "run", "vgg", NOTHING)
    with pytest.raises(RunError, match="weights of a resnet50, and a vgg is to be trained"):
        require_start(STORE / "urban-sound" / "hann", "vgg", NOTHING)
    with pytest.raises(RunError, match="of a speech-encoder, and a resnet50 is to be trained"):
        require_start(STORE / "emotion" / "speech-encoder", "resnet50", NOTHING)
    with pytest.raises(RunError, match="does not give its weights back; start from the folder of"):
        require_start(STORE / "urban-sound" / "edge", "vgg", NOTHING)


def test_weights_of_pretraining_are_a_start(tmp_path: Path) -> None:
    own, path = build_network("vgg", 5), tmp_path / "pretrained.safetensors"
    save_pretrained(path, own, Pretraining("a test", frozenset({"esc:1"})))
    require_start(path, "vgg", NOTHING)
    split = Split([recording("esc50", "1")], [recording("esc50", "2")])
    start = load_start(path, build_network("vgg", 2), ["a", "b"], split, no_clips)
    assert (start.description, start.training) == ("a test", None)
