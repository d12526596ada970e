"""What outputs mean: probabilities of the labels, and clips that have none."""

from datetime import date

import numpy as np
import pytest
from scipy.special import softmax

from app.checkpoints.card import Card, OodDetector, Training
from training.tasks import TaskName
from earshot.schemas import Reason
from app.inference.outputs import probabilities, unlabelled, unlabelled_whole
from tests.unit.app.audio.test_log_mel import LOG_MEL


def card(threshold: float | None, task: TaskName = "urban-sound") -> Card:
    return Card(
        task=task,
        version="1",
        created=date(2026, 1, 1),
        labels=("a", "b"),
        input=LOG_MEL,
        temperature=2.0,
        familiarity=OodDetector(foreign=("esc50: cat",), threshold=threshold),
        training=Training(
            corpora=(), held_out={}, skipped_clips=0, epochs=1, seed=0, pretrained=None
        ),
        metrics=None,
        files={"model.onnx": "0" * 64},
    )


OUTPUTS = np.array([[1.0, 3.0, -0.5], [2.0, 0.0, 0.5], [0.0, 0.0, 9.0]], np.float32)
SILENT = np.array([False, False, True])


def test_the_last_output_is_no_label() -> None:
    expected = softmax(OUTPUTS[:, :2] / 2, axis=1)
    np.testing.assert_allclose(probabilities(OUTPUTS, card(0.0)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("threshold", "task", "expected"),
    [
        (0.0, "urban-sound", ["unfamiliar", None, "silent"]),
        (0.0, "emotion", ["no_voice", None, "silent"]),
        (0.5, "emotion", ["no_voice", None, "silent"]),
        (0.6, "emotion", ["no_voice", "no_voice", "silent"]),
        (None, "emotion", [None, None, "silent"]),
    ],
)
def test_what_is_silent_or_below_the_threshold_has_no_label(
    threshold: float | None, task: TaskName, expected: list[Reason | None]
) -> None:
    assert unlabelled(OUTPUTS, SILENT, card(threshold, task)) == expected


def test_a_checkpoint_without_that_output_names_everything() -> None:
    plain = card(None).model_copy(update={"familiarity": None})
    assert plain.outputs == 2
    assert card(None).outputs == 3
    assert unlabelled(OUTPUTS[:, :2], SILENT, plain) == [None, None, "silent"]


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (["silent", "silent"], "silent"),
        (["silent", None], None),
        (["silent", "no_voice"], "no_voice"),
        ([None, "unfamiliar"], None),
        ([None, "unfamiliar", "unfamiliar", "silent"], "unfamiliar"),
    ],
)
def test_a_recording_is_named_when_half_of_what_is_heard_is(
    clips: list[Reason | None], expected: Reason | None
) -> None:
    assert unlabelled_whole(clips, [False] * len(clips)) == expected


@pytest.mark.parametrize(
    ("clips", "gaps", "expected"),
    [
        (["unfamiliar", None, "unfamiliar"], [True, False, True], None),
        ([None, "unfamiliar", None], [True, False, True], "unfamiliar"),
        (["silent", "unfamiliar", None, "unfamiliar"], [False, True, True, True], "unfamiliar"),
        (["silent", "unfamiliar", None], [False, True, True], None),
    ],
)
def test_clips_with_gaps_count_where_all_have_them(
    clips: list[Reason | None], gaps: list[bool], expected: Reason | None
) -> None:
    assert unlabelled_whole(clips, gaps) == expected
