"""What a student learns from: views that are computed once, and predictions of a teacher."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.audio.log_mel import log_mel, mel_power
from tests.support.sounds import RATE, write_urbansound8k
from training.corpora import LabeledRecording, load_corpora
from training.dataset import augment_power, one_hot_labels
from training.edge.dataset import ViewsDataset
from training.edge.views import Views, ask_all
from training.recipes import Recipe, log_mel_config
from training.runs import RunError
from training.waveforms import Waveforms, decode_all

LABELS = ("siren", "drilling", "dog_bark", "car_horn")
RECIPE = Recipe(
    clip_seconds=1.0,
    crop_seconds=1.0,
    epochs=1,
    views=3,
    mixup_probability=0.0,
    distillation_weight=0.5,
    teacher_temperature=2.0,
)
CONFIG = log_mel_config(RECIPE, "hann")


class Teacher:
    """Gives one answer to all, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def predict_proba(self, _: NDArray[np.float32], group: str) -> NDArray[np.float32]:
        self.asked[group] += 1
        return np.float32([0.64, 0.16, 0.16, 0.04])


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[LabeledRecording]:
    root = tmp_path_factory.mktemp("corpora")
    write_urbansound8k(root, folds=2, clips_per_fold=4)
    return load_corpora(root, ["urbansound8k"])


@pytest.fixture(scope="module")
def waveforms(
    recordings: list[LabeledRecording], tmp_path_factory: pytest.TempPathFactory
) -> Waveforms:
    return decode_all(recordings, sample_rate=RATE, cache=tmp_path_factory.mktemp("cache"))


def filled(folder: Path, recordings: list[LabeledRecording], waveforms: Waveforms) -> Views:
    views = Views(folder, len(recordings), RECIPE.views, CONFIG)
    views.fill(recordings, waveforms, CONFIG, RECIPE, None, seed=0)
    return views


def test_the_first_view_is_the_first_clip_as_it_is(
    recordings: list[LabeledRecording], waveforms: Waveforms, tmp_path: Path
) -> None:
    views = filled(tmp_path, recordings, waveforms)
    assert (len(views), views.count) == (8, 3)
    clip = waveforms[recordings[5]][: CONFIG.clip_samples]
    power = 10 ** (views.decibels(5, 0) / 10)
    # float16 keeps dB to a sixteenth.
    np.testing.assert_allclose(power, mel_power(clip, CONFIG), rtol=0.01, atol=1e-9)
    assert not np.allclose(views.decibels(5, 1), views.decibels(5, 2), atol=1)


def test_what_was_interrupted_goes_on_and_gives_the_same(
    recordings: list[LabeledRecording], waveforms: Waveforms, tmp_path: Path
) -> None:
    whole = filled(tmp_path / "whole", recordings, waveforms)
    filled(tmp_path / "part", recordings, waveforms)
    kept = np.memmap(tmp_path / "part" / "views.f16", np.float16, "r+", shape=(8, 3, 64, 51))
    kept[:2] = 7
    kept[2:] = 0
    kept.flush()
    (tmp_path / "part" / "done").write_text("2")
    part = filled(tmp_path / "part", recordings, waveforms)
    assert (part.decibels(1, 1) == 7).all()  # was done, and is not done again
    for view in range(3):
        np.testing.assert_array_equal(part.decibels(6, view), whole.decibels(6, view))


def test_views_of_other_recordings_are_not_gone_on_with(
    recordings: list[LabeledRecording], waveforms: Waveforms, tmp_path: Path
) -> None:
    filled(tmp_path, recordings, waveforms)
    with pytest.raises(RunError, match="is of other recordings: remove"):
        Views(tmp_path, len(recordings) + 1, RECIPE.views, CONFIG)


def test_a_teacher_is_asked_once_for_each_recording(
    recordings: list[LabeledRecording], waveforms: Waveforms, tmp_path: Path
) -> None:
    teacher, path = Teacher(), tmp_path / "predictions.npy"
    first = ask_all(teacher.predict_proba, recordings, waveforms, path)
    np.save(path, first[:3])
    again = ask_all(teacher.predict_proba, recordings, waveforms, path)
    np.testing.assert_array_equal(again, first)
    assert sum(teacher.asked.values()) == 8 + 5


def test_targets_lie_between_the_label_and_the_softened_prediction(
    recordings: list[LabeledRecording], waveforms: Waveforms, tmp_path: Path
) -> None:
    views = filled(tmp_path, recordings, waveforms)
    unlabelled = [*recordings[:-1], replace(recordings[-1], label="")]
    path = tmp_path / "predictions.npy"
    soft = ask_all(Teacher().predict_proba, recordings, waveforms, path)
    weights = np.full(8, 1 / 8)
    dataset = ViewsDataset(views, unlabelled, LABELS, soft, weights, CONFIG, RECIPE)
    # Square roots of the prediction, scaled: 0.8, 0.4, 0.4, 0.2.
    softened = np.float32([0.8, 0.4, 0.4, 0.2]) / 1.8
    labelled = one_hot_labels(recordings[:1], LABELS)[0]
    np.testing.assert_allclose(dataset[0, 3][1], 0.5 * labelled + 0.5 * softened, rtol=1e-6)
    np.testing.assert_allclose(dataset[7, 3][1], softened, rtol=1e-6)


def test_a_teachers_embedding_stands_behind_the_labels_standardised(
    recordings: list[LabeledRecording], waveforms: Waveforms, tmp_path: Path
) -> None:
    views = filled(tmp_path, recordings, waveforms)
    embeddings = np.float32([[10 + index, 5] for index in range(8)])
    weights = np.full(8, 1 / 8)
    hard = ViewsDataset(views, recordings, LABELS, None, weights, CONFIG, RECIPE)
    taught = ViewsDataset(views, recordings, LABELS, None, weights, CONFIG, RECIPE, embeddings)
    assert (hard.embedding_features, taught.embedding_features) == (0, 2)
    target = taught[7, 3][1]
    assert torch.equal(target[:4], hard[7, 3][1])
    # The mean of 0 to 7 is 3.5, their variance 5.25; what is always the same tells nothing.
    np.testing.assert_allclose(target[4:], [3.5 / np.sqrt(5.25), 0], rtol=1e-5)


def test_an_item_depends_on_its_draw_alone(
    recordings: list[LabeledRecording], waveforms: Waveforms, tmp_path: Path
) -> None:
    views = filled(tmp_path, recordings, waveforms)
    mixing = replace(RECIPE, mixup_probability=1.0)
    dataset = ViewsDataset(views, recordings, LABELS, None, np.full(8, 1 / 8), CONFIG, mixing)
    inputs, target = dataset[2, 77]
    same, same_target = dataset[2, 77]
    assert torch.equal(inputs, same)
    assert torch.equal(target, same_target)
    assert not torch.equal(inputs, dataset[2, 78][0])
    assert target.sum().item() == pytest.approx(1)
    assert inputs.shape == (1, CONFIG.n_mels, CONFIG.frames)


def test_without_augmentation_the_input_is_what_the_service_computes(
    recordings: list[LabeledRecording], waveforms: Waveforms
) -> None:
    plain = replace(RECIPE, random_eq_db=0.0, frequency_mask=0, time_mask=0)
    clip = waveforms[recordings[0]][: CONFIG.clip_samples]
    rng = np.random.default_rng(0)
    inputs = augment_power(mel_power(clip, CONFIG), CONFIG.frames, CONFIG, plain, rng)
    np.testing.assert_allclose(inputs[0], log_mel(clip, CONFIG), atol=1e-4)
