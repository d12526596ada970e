"""Pretraining end to end on generated sounds, and what keeps it honest."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.sounds import make, tone
from training.cli import main
from training.datasets import load_task
from training.held_out import all_standard_folds, standard_folds
from training.network import ResNetAudioClassifier
from training.pretrained import Pretraining, save_pretrained, start_from
from training.recipes import HELD_OUT
from training.runs import RunError
from training.teacher import EMBEDDING_SIZE, Embeddings, Yamnet


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
    held_out = [c.group for c in load_task(sound_corpus, "urban-sound") if c.fold == "1"]
    pretraining = start_from(weights, network, frozenset(held_out))
    assert pretraining.held_out >= set(held_out)
    assert "YAMNet" in pretraining.description
    torch.testing.assert_close(
        network.state_dict()["body.conv1.weight"], load_file(weights)["body.conv1.weight"]
    )


def test_weights_that_heard_the_test_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    source = ResNetAudioClassifier(EMBEDDING_SIZE)
    save_pretrained(path, source, Pretraining("a test", frozenset({"ravdess:17"})))
    start_from(path, ResNetAudioClassifier(7), frozenset({"ravdess:17"}))
    with pytest.raises(RunError, match=r"may have heard 1 of the held-out groups \(ravdess:18"):
        start_from(path, ResNetAudioClassifier(7), frozenset({"ravdess:17", "ravdess:18"}))


def test_other_files_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(RunError, match="not weights of earshot pretrain"):
        start_from(path, ResNetAudioClassifier(7), frozenset())


def test_the_standard_folds_are_held_out_where_the_data_has_them(sound_corpus: Path) -> None:
    clips = load_task(sound_corpus, "urban-sound")
    assert standard_folds(clips, "urban-sound", seed=0) == HELD_OUT["urban-sound"]
    without = [clip for clip in clips if clip.fold != "1"]
    [(corpus, [fold])] = standard_folds(without, "urban-sound", seed=0).items()
    assert corpus == "urbansound8k"
    assert fold in {"2", "3", "4"}
    assert all_standard_folds(without, seed=0) == {"urbansound8k": (fold,)}


def test_the_teacher_hears_differences() -> None:
    """Sounds of one kind are nearer to each other than to another kind."""
    teacher = Yamnet()
    sirens = [teacher.embed(make("siren", seed)).mean(axis=0) for seed in (1, 2)]
    barks = [teacher.embed(make("dog_bark", seed)).mean(axis=0) for seed in (1, 2)]
    assert teacher.embed(tone(440, seconds=0.3)).shape == (1, EMBEDDING_SIZE)
    assert teacher.embed(tone(440, seconds=4)).shape == (7, EMBEDDING_SIZE)
    within = np.linalg.norm(sirens[0] - sirens[1]) + np.linalg.norm(barks[0] - barks[1])
    between = sum(np.linalg.norm(siren - bark) for siren in sirens for bark in barks)
    assert between / 4 > within / 2


def test_a_crops_target_is_the_mean_of_the_patches_inside_it() -> None:
    """Patches of 15,600 samples, 7,680 apart; standardised over all rows."""
    values = np.repeat(np.arange(10, dtype=np.float16)[:, None], EMBEDDING_SIZE, axis=1)
    embeddings = Embeddings(values, np.array([0, 6, 10]))
    mean, deviation = 4.5, values[:, 0].astype(float).std() + 1e-3

    def target(index: int, start: int, stop: int) -> float:
        row = embeddings.between(index, start, stop)
        assert np.ptp(row) == 0
        return float(row[0] * deviation + mean)

    assert target(0, 0, 15_600) == pytest.approx(0, abs=1e-3)
    assert target(0, 0, 64_000) == pytest.approx(2.5, abs=1e-3)  # 0 to 5: there is no 6
    assert target(0, 7_680, 7_680 + 15_600) == pytest.approx(1, abs=1e-3)
    assert target(0, 7_681, 7_681 + 30_000) == pytest.approx(2, abs=1e-3)
    assert target(1, 0, 15_600) == pytest.approx(6, abs=1e-3)
    assert target(1, 60_000, 64_000) == pytest.approx(9, abs=1e-3)  # none inside: the nearest
