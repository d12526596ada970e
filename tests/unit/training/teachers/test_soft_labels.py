"""The teacher of soft labels, on generated sounds that YAMNet tells apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from app.checkpoints import store
from app.checkpoints.store import ModelKey
from app.inference.engine import OpenVinoEngine, recording_outputs
from tests.support.sounds import SOUNDS, make
from training.corpora import LabeledRecording, load_corpora
from training.dataset import AugmentedClips, DistilledDataset
from training.recipes import RECIPES, log_mel_config
from training.runs import RunError
from training.tasks import TASKS
from training.teachers.soft_labels import CheckpointTeacher, YamnetTeacher
from training.waveforms import Waveforms, decode_all

SERVED = store.load(Path(__file__).parents[4] / "models_store", ModelKey("urban-sound", "hann"))
LABELS = TASKS["urban-sound"].labels
RECIPE = replace(RECIPES["urban-sound"], crop_seconds=1.0, mixup_probability=0.0)


@pytest.fixture(scope="module")
def clips(sound_corpus: Path) -> list[LabeledRecording]:
    return load_corpora(sound_corpus, ["urbansound8k"])


@pytest.fixture(scope="module")
def waveforms(clips: list[LabeledRecording], tmp_path_factory: pytest.TempPathFactory) -> Waveforms:
    return decode_all(clips, sample_rate=16_000, cache=tmp_path_factory.mktemp("cache"))


def test_it_knows_new_sounds_of_the_kinds_it_was_shown(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    teacher = YamnetTeacher(clips, waveforms, LABELS, seed=0)
    for label in SOUNDS:
        predicted = teacher.predict_proba(make(label, 70_000), "new")
        assert LABELS[int(predicted.argmax())] == label
        assert predicted.sum() == pytest.approx(1, abs=1e-5)


def test_of_a_group_it_has_an_opinion_of_its_own(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    """All clips of one group are labelled wrongly, and it is not fooled."""
    wrong = clips[0].group
    other = next(label for label in SOUNDS if label != clips[0].label)
    mislabelled = [replace(c, label=other) if c.group == wrong else c for c in clips]
    teacher = YamnetTeacher(mislabelled, waveforms, LABELS, seed=0)
    predicted = teacher.predict_proba(waveforms[clips[0]], wrong)
    assert LABELS[int(predicted.argmax())] == clips[0].label


def test_targets_lie_between_label_and_opinion(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    teacher = YamnetTeacher(clips, waveforms, LABELS, seed=0)
    stranger = replace(clips[1], label="rooster", group="new")
    inputs = AugmentedClips(
        clips[:1], waveforms, [log_mel_config(RECIPE, "hann")], RECIPE, unlabelled=[stranger]
    )
    targets = DistilledDataset(inputs, LABELS, teacher, 0.25)
    for seed in range(5):
        crops = [inputs.mixed_crop(i, np.random.default_rng(seed))[0] for i in (0, 1)]
        own, alone = (
            teacher.predict_proba(crops[0], clips[0].group),
            teacher.predict_proba(crops[1], "new"),
        )
        label = np.eye(len(LABELS))[LABELS.index(clips[0].label)]
        np.testing.assert_allclose(targets[0, seed][1], 0.75 * label + 0.25 * own, atol=1e-5)
        np.testing.assert_allclose(targets[1, seed][1], alone, atol=1e-5)


def test_a_mixture_of_known_and_unknown_is_known_in_part(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    teacher = YamnetTeacher(clips, waveforms, LABELS, seed=0)
    recipe = replace(RECIPE, mixup_probability=1.0, unlabelled_fraction=0.5)
    stranger = replace(clips[1], label="rooster", group="new")
    inputs = AugmentedClips(
        clips[:1], waveforms, [log_mel_config(recipe, "hann")], recipe, unlabelled=[stranger]
    )
    targets = DistilledDataset(inputs, LABELS, teacher, 0.0)
    seen = set()
    for seed in range(20):
        samples, partner = inputs.mixed_crop(0, np.random.default_rng(seed))
        assert partner is not None
        other, weight = partner
        known = 1.0 if other == 0 else weight
        label = np.eye(len(LABELS))[LABELS.index(clips[0].label)]
        expected = known * label + (1 - known) * teacher.predict_proba(samples, clips[0].group)
        np.testing.assert_allclose(targets[0, seed][1], expected, atol=1e-5)
        seen.add(other)
    assert seen == {0, 1}


def test_a_checkpoint_teaches_what_it_serves(clips: list[LabeledRecording]) -> None:
    teacher = CheckpointTeacher(SERVED, LABELS, [])
    crop = make("siren", 5, seconds=1.0)
    engine = OpenVinoEngine(SERVED.model)
    logits = recording_outputs(engine, crop, SERVED.card.input)[0, : len(LABELS)]
    expected = softmax(logits / SERVED.card.temperature)
    np.testing.assert_allclose(teacher.predict_proba(crop, "any"), expected, atol=1e-5)
    both = np.concatenate([crop, crop])  # 2 s: one clip still
    embedding = recording_outputs(
        OpenVinoEngine(SERVED.model, embeds=True), both, SERVED.card.input
    )
    np.testing.assert_allclose(teacher.embed(both, "any"), embedding.mean(axis=0), rtol=1e-5)
    held_out = replace(clips[0], fold="1", group="urbansound8k:1")
    CheckpointTeacher(SERVED, LABELS, [held_out])


def test_a_teacher_that_heard_the_test_or_has_other_labels_is_refused(
    clips: list[LabeledRecording],
) -> None:
    heard = replace(clips[0], fold="7", group="urbansound8k:7")
    with pytest.raises(RunError, match=r"trained on 1 of the held-out groups \(urbansound8k:7\)"):
        CheckpointTeacher(SERVED, LABELS, [heard])
    with pytest.raises(RunError, match="a teacher has the labels sad, happy and reads 16000 Hz"):
        CheckpointTeacher(SERVED, ("sad", "happy"), [])
