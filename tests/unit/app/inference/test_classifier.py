"""The meaning of outputs: probabilities of the labels, and clips that have none."""

from datetime import date

import numpy as np
import pytest
from scipy.special import softmax

from app.checkpoints.card import Card, LengthScores, OodDetector, ShortRecordings, Training
from app.inference.classifier import (
    aggregate_rejection,
    label_probabilities,
    rank_labels,
    rejection_reasons,
)
from earshot.schemas import Reason
from tests.support.cards import LOG_MEL


def card(threshold: float | None, reason: str = "out_of_distribution") -> Card:
    return Card(
        task="urban-sound",
        name="hann",
        network="resnet50",
        version="1",
        created=date(2026, 1, 1),
        labels=("a", "b"),
        input=LOG_MEL,
        temperature=2.0,
        ood=OodDetector(trained_on=("esc50: cat",), threshold=threshold, reason=reason),
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
    np.testing.assert_allclose(label_probabilities(OUTPUTS, card(0.0)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("threshold", "reason", "expected"),
    [
        (0.0, "out_of_distribution", ["out_of_distribution", None, "silent"]),
        (0.0, "no_voice", ["no_voice", None, "silent"]),
        (0.5, "no_voice", ["no_voice", None, "silent"]),
        (0.6, "no_voice", ["no_voice", "no_voice", "silent"]),
        (None, "no_voice", [None, None, "silent"]),
    ],
)
def test_what_is_silent_or_below_the_threshold_has_no_label(
    threshold: float | None, reason: str, expected: list[Reason | None]
) -> None:
    assert rejection_reasons(OUTPUTS, SILENT, card(threshold, reason)) == expected


SHORT = ShortRecordings(
    shortest_seconds=0.1,
    whole_accuracy=0.7,
    lengths=tuple(
        LengthScores(
            seconds=seconds,
            recordings=9,
            accuracy=0.5,
            expected_calibration_error=0.1,
            uncalibrated_error=0.2,
            temperature=temperature,
        )
        for seconds, temperature in ((0.02, 9.0), (0.1, 5.0), (1.0, 3.0))
    ),
    command="earshot evaluate --lengths",
)


@pytest.mark.parametrize(
    ("seconds", "temperature"),
    # Between 0.1 and 1 s by the logarithm of the length, from a clip of 2 s on as the card says.
    [(0.001, 9), (0.1, 5), (0.1 * 10**0.5, 4), (1, 3), (2**0.5, 2.5), (2, 2), (60, 2)],
)
def test_short_recordings_have_a_temperature_of_their_own(
    seconds: float, temperature: float
) -> None:
    short = card(0.0).model_copy(update={"short": SHORT})
    np.testing.assert_allclose(
        label_probabilities(OUTPUTS, short, seconds),
        softmax(OUTPUTS[:, :2] / temperature, axis=1),
        rtol=1e-5,
    )
    # Without measurements all lengths are alike.
    np.testing.assert_array_equal(
        label_probabilities(OUTPUTS, card(0.0), seconds), label_probabilities(OUTPUTS, card(0.0))
    )


def test_below_the_shortest_length_there_is_no_label() -> None:
    short = card(0.0).model_copy(update={"short": SHORT})
    assert rejection_reasons(OUTPUTS, SILENT, short, 0.0999) == ["too_short"] * 2 + ["silent"]
    assert rejection_reasons(OUTPUTS, SILENT, short, 0.1) == rejection_reasons(
        OUTPUTS, SILENT, card(0.0)
    )
    prediction = rank_labels(np.float32([0.2, 0.8]), "too_short", ("a", "b"), 2)
    assert (prediction.label, prediction.probability, prediction.ranked) == (None, 0, [])


def test_a_checkpoint_without_that_output_names_everything() -> None:
    plain = card(None).model_copy(update={"ood": None})
    assert plain.output_size == 2
    assert card(None).output_size == 3
    assert rejection_reasons(OUTPUTS[:, :2], SILENT, plain) == [None, None, "silent"]


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (["silent", "silent"], "silent"),
        (["silent", None], None),
        (["silent", "no_voice"], "no_voice"),
        ([None, "out_of_distribution"], None),
        ([None, "out_of_distribution", "out_of_distribution", "silent"], "out_of_distribution"),
    ],
)
def test_a_recording_is_named_when_half_of_what_is_heard_is(
    clips: list[Reason | None], expected: Reason | None
) -> None:
    assert aggregate_rejection(clips, [False] * len(clips)) == expected


@pytest.mark.parametrize(
    ("clips", "partially_silent", "expected"),
    [
        (["out_of_distribution", None, "out_of_distribution"], [True, False, True], None),
        ([None, "out_of_distribution", None], [True, False, True], "out_of_distribution"),
        (
            ["silent", "out_of_distribution", None, "out_of_distribution"],
            [False, True, True, True],
            "out_of_distribution",
        ),
        (["silent", "out_of_distribution", None], [False, True, True], None),
    ],
)
def test_clips_with_gaps_count_where_all_have_them(
    clips: list[Reason | None], partially_silent: list[bool], expected: Reason | None
) -> None:
    assert aggregate_rejection(clips, partially_silent) == expected
