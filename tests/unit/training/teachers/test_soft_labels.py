"""The tutor, on generated sounds that a tagger tells apart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.sounds import SOUNDS, make
from training.corpora import Clip, load_task
from training.dataset import AugmentedClips, TutoredSet
from training.recipes import RECIPES, log_mel_config
from training.tasks import LABELS as URBAN
from training.teachers.soft_labels import Tutor
from training.waveforms import Waveforms, decode_all

LABELS = URBAN["urban-sound"]
RECIPE = replace(RECIPES["urban-sound"], crop_seconds=1.0, mixup_probability=0.0)


@pytest.fixture(scope="module")
def clips(sound_corpus: Path) -> list[Clip]:
    return load_task(sound_corpus, "urban-sound")


@pytest.fixture(scope="module")
def waveforms(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Waveforms:
    return decode_all(clips, sample_rate=16_000, cache=tmp_path_factory.mktemp("cache"))


def test_it_knows_new_sounds_of_the_kinds_it_was_shown(
    clips: list[Clip], waveforms: Waveforms
) -> None:
    tutor = Tutor(clips, waveforms, LABELS, seed=0)
    for label in SOUNDS:
        opinion = tutor.opinion(make(label, 70_000), "new")
        assert LABELS[int(opinion.argmax())] == label
        assert opinion.sum() == pytest.approx(1, abs=1e-5)


def test_of_a_group_it_has_an_opinion_of_its_own(clips: list[Clip], waveforms: Waveforms) -> None:
    """All clips of one group are labelled wrongly, and it is not fooled."""
    wrong = clips[0].group
    other = next(label for label in SOUNDS if label != clips[0].label)
    mislabelled = [replace(c, label=other) if c.group == wrong else c for c in clips]
    tutor = Tutor(mislabelled, waveforms, LABELS, seed=0)
    opinion = tutor.opinion(waveforms[clips[0]], wrong)
    assert LABELS[int(opinion.argmax())] == clips[0].label


def test_targets_lie_between_label_and_opinion(clips: list[Clip], waveforms: Waveforms) -> None:
    tutor = Tutor(clips, waveforms, LABELS, seed=0)
    stranger = replace(clips[1], label="rooster", group="new")
    inputs = AugmentedClips(
        clips[:1], waveforms, [log_mel_config(RECIPE, "hann")], RECIPE, unlabelled=[stranger]
    )
    targets = TutoredSet(inputs, LABELS, tutor, share=0.25)
    for seed in range(5):
        crops = [inputs.mixed_crop(i, np.random.default_rng(seed))[0] for i in (0, 1)]
        own, alone = tutor.opinion(crops[0], clips[0].group), tutor.opinion(crops[1], "new")
        label = np.eye(len(LABELS))[LABELS.index(clips[0].label)]
        np.testing.assert_allclose(targets[0, seed][1], 0.75 * label + 0.25 * own, atol=1e-5)
        np.testing.assert_allclose(targets[1, seed][1], alone, atol=1e-5)


def test_a_mixture_of_known_and_unknown_is_known_in_part(
    clips: list[Clip], waveforms: Waveforms
) -> None:
    tutor = Tutor(clips, waveforms, LABELS, seed=0)
    recipe = replace(RECIPE, mixup_probability=1.0, unlabelled_share=0.5)
    stranger = replace(clips[1], label="rooster", group="new")
    inputs = AugmentedClips(
        clips[:1], waveforms, [log_mel_config(recipe, "hann")], recipe, unlabelled=[stranger]
    )
    targets = TutoredSet(inputs, LABELS, tutor, share=0.0)
    seen = set()
    for seed in range(20):
        samples, mixed = inputs.mixed_crop(0, np.random.default_rng(seed))
        assert mixed is not None
        other, weight = mixed
        known = 1.0 if other == 0 else weight
        label = np.eye(len(LABELS))[LABELS.index(clips[0].label)]
        expected = known * label + (1 - known) * tutor.opinion(samples, clips[0].group)
        np.testing.assert_allclose(targets[0, seed][1], expected, atol=1e-5)
        seen.add(other)
    assert seen == {0, 1}
