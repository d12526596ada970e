"""Protocols and families of other sounds, on empty files whose predictions are made up."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.checkpoints.card import Card, Corpus, OodDetector
from app.checkpoints.store import Checkpoint, CheckpointError
from tests.support.cards import CARD
from training.corpora import CorpusError, LabeledRecording, load_corpora
from training.generalization import Generalization
from training.ood_families import load_families, score_family
from training.splits import SplitError
from training.tasks import TASKS

EMOTIONS = TASKS["emotion"].labels


def trained_on(*names: str, held_out: dict[str, tuple[str, ...]] | None = None) -> Checkpoint:
    corpora = tuple(Corpus(name=name, licence="", clips=1, groups=1) for name in names)
    training = CARD.training.model_copy(update={"corpora": corpora, "held_out": held_out or {}})
    return Checkpoint(
        Path(),
        CARD.model_copy(update={"task": "emotion", "labels": EMOTIONS, "training": training}),
    )


def knows(
    checkpoint: Checkpoint, recordings: Sequence[LabeledRecording]
) -> tuple[list[LabeledRecording], NDArray[np.float64]]:
    """Predict the true label for speakers whose name ends in an even number, else the last."""
    labels = checkpoint.card.labels
    probabilities = np.zeros((len(recordings), len(labels)))
    for row, each in zip(probabilities, recordings, strict=True):
        row[labels.index(each.label) if int(each.fold[-1]) % 2 == 0 else -1] = 1
    return list(recordings), probabilities


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    touch(
        tmp_path,
        *(
            f"EMOVO/{speaker}/{label}-{speaker}-b1.wav"
            for speaker in ("f1", "f2", "m2")
            for label in ("tri", "rab")
        ),
        *(
            f"RAVDESS/Actor_{actor}/03-01-{label}-01-01-01-{actor}.wav"
            for actor in (17, 18)
            for label in ("04", "05")
        ),
        *(f"EmoDB/wav/{speaker}a01{label}a.wav" for speaker in ("11", "14") for label in "WT"),
    )
    return tmp_path


def load(root: Path) -> list[LabeledRecording]:
    return load_corpora(root, TASKS["emotion"].corpora)


def test_new_corpora_are_those_that_nothing_was_trained_on(voices: Path) -> None:
    tests = Generalization(voices, knows)
    measured = tests.measure_new_corpora(trained_on("ravdess", "emodb"))
    assert list(measured) == ["emovo"]
    assert (measured["emovo"].recordings, measured["emovo"].groups) == (6, 3)
    assert measured["emovo"].accuracy.value == pytest.approx(4 / 6, abs=1e-4)
    with pytest.raises(CorpusError, match="no corpus that"):
        tests.measure_new_corpora(trained_on("ravdess", "emodb", "emovo"))


def test_held_out_speakers_are_measured_corpus_by_corpus(voices: Path) -> None:
    tests = Generalization(voices, knows)
    checkpoint = trained_on("ravdess", "emodb", held_out={"ravdess": ("18",), "emodb": ("11",)})
    sibling = trained_on("ravdess", "emodb", held_out={"emodb": ("14",)})
    measured = tests.measure_held_out(checkpoint, [sibling], load(voices))
    assert {name: scores.accuracy.value for name, scores in measured.items()} == {
        "ravdess": 1,
        "emodb": 0,
        "emodb: 14": 1,
    }


def test_what_a_sibling_was_trained_without_is_measured(voices: Path) -> None:
    tests, recordings = Generalization(voices, knows), load(voices)
    card = trained_on("ravdess", "savee", "emodb", "emovo").card
    without_ravdess = trained_on("savee", "emodb", "emovo")
    by_corpus = tests.measure_left_out("leave-corpus-out", card, [without_ravdess], recordings)
    assert list(by_corpus) == ["ravdess"]
    without_german = trained_on("ravdess", "savee", "emovo")
    siblings = [without_german, trained_on("emodb")]
    by_language = tests.measure_left_out("leave-language-out", card, siblings, recordings)
    assert set(by_language) == {"English", "German", "Italian"}
    # English was still heard, in SAVEE.
    with pytest.raises(SplitError, match=r"lacks nothing .*train one with"):
        tests.measure_left_out("leave-language-out", card, [without_ravdess], recordings)


def test_how_to_train_a_sibling_is_told(voices: Path) -> None:
    tests, recordings = Generalization(voices, knows), load(voices)
    card = trained_on("ravdess", "savee", "emodb").card
    with pytest.raises(SplitError) as told:
        tests.measure_left_out("leave-language-out", card, [], recordings)
    assert "leave-language-out needs --sibling STORE; train one with" in str(told.value)
    assert "--hold-out emodb:11,14 --store runs/store-without-german" in str(told.value)
    pretrained = trained_on("emodb", "esc50").card  # whose labels are not the task's
    with pytest.raises(SplitError, match="was trained on one corpus: emodb"):
        tests.measure_left_out("leave-corpus-out", pretrained, [], recordings)
    only_english = trained_on("ravdess", "savee").card
    with pytest.raises(SplitError, match="was trained on one language: ravdess, savee"):
        tests.measure_left_out("leave-language-out", only_english, [], recordings)
    with pytest.raises(CheckpointError, match="of another task"):
        tests.measure_left_out("leave-corpus-out", card, [Checkpoint(Path(), CARD)], recordings)


def write_table(root: Path, folder: str, rows: dict[str, tuple[str, str]]) -> None:
    touch(root, *(f"{folder}/audio/{name}" for name in rows))
    lines = [f"{name},{group},{tags}\n" for name, (group, tags) in rows.items()]
    (root / folder / "meta.csv").write_text("filename,group,tags\n" + "".join(lines))


def test_street_tags_are_ordered_by_the_labels_that_they_cover(tmp_path: Path) -> None:
    tags = ["alert_signal", "dog+music", "untagged", "alert_signal+powered_saw", "dog", "music"]
    write_table(
        tmp_path, "SONYC-UST", {f"{i}.wav": (f"sensor-{i % 2}", tag) for i, tag in enumerate(tags)}
    )

    def hears(
        checkpoint: Checkpoint, recordings: Sequence[LabeledRecording]
    ) -> tuple[list[LabeledRecording], NDArray[np.float64]]:
        probabilities = np.zeros((len(recordings), 10))
        for row, each in zip(probabilities, recordings, strict=True):
            # Half a horn and half a siren are one alert.
            if "alert" in each.label:
                row[[1, 8]] = 0.4
            row[3] = 0.9 if "dog" in each.label else 0.5
            row[9] = 0.1 if "music" in each.label else 0.3
        return list(recordings), probabilities

    checkpoint = Checkpoint(Path(), CARD)
    scores = Generalization(tmp_path, hears).measure_street_tags(checkpoint)
    assert (scores.recordings, scores.groups) == (6, 2)
    assert set(scores.average_precision) == {"alert_signal", "dog", "music"}
    assert scores.average_precision["alert_signal"] == scores.average_precision["dog"] == 1
    assert scores.average_precision["music"] < 0.5
    assert scores.chance == pytest.approx(1 / 3, abs=1e-4)
    with pytest.raises(CheckpointError, match="street-tags is for checkpoints of urban-sound"):
        Generalization(tmp_path, hears).measure_street_tags(trained_on("ravdess"))


def test_families_leave_out_what_was_learned_and_what_is_named(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        "household",
        {
            "a.wav": ("own:a", "air_conditioner"),
            "b.wav": ("own:b", "vacuuming"),
            "c.wav": ("own:c", "washer"),
        },
    )
    detector = OodDetector(trained_on=("household: washer",), threshold=0.0)
    card: Card = CARD.model_copy(update={"ood": detector})
    families = load_families(tmp_path, card, [])
    assert [each.label for each in families["household"]] == ["vacuuming"]
    assert set(families) == {"music", "household"}  # the gallery comes with Earshot
    assert {each.label for each in families["music"]} == {"classical", "hip-hop", "jazz", "rock"}
    labelled = families["household"]
    assert "household" not in load_families(tmp_path, card, labelled)


def test_a_family_is_scored_at_both_coverages() -> None:
    known = np.arange(100, dtype=np.float32)
    scores = score_family(known, np.array([-1, 2.5, 50, 200], np.float32))
    assert (scores.rejection_rate_at_95, scores.rejection_rate_at_99) == (0.5, 0.25)
    assert scores.auroc == pytest.approx((100 + 97 + 49.5 + 0) / 400, abs=1e-3)
