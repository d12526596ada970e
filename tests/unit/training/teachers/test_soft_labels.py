"""The teacher of soft labels, on generated sounds that YAMNet tells apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.sounds import SOUNDS, make
from training.corpora import LabeledRecording, load_corpora
from training.dataset import AugmentedClips, DistilledDataset
from training.recipes import RECIPES, log_mel_config
from training.tasks import TASKS
from training.teachers.soft_labels import SoftLabelTeacher
from training.waveforms import Waveforms, decode_all

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
    teacher = SoftLabelTeacher(clips, waveforms, LABELS, seed=0)
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
    teacher = SoftLabelTeacher(mislabelled, waveforms, LABELS, seed=0)
    predicted = teacher.predict_proba(waveforms[clips[0]], wrong)
    assert LABELS[int(predicted.argmax())] == clips[0].label


def test_targets_lie_between_label_and_opinion(
    clips: list[LabeledRecording], waveforms: Waveforms
) -> None:
    teacher = SoftLabelTeacher(clips, waveforms, LABELS, seed=0)
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
    teacher = SoftLabelTeacher(clips, waveforms, LABELS, seed=0)
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
