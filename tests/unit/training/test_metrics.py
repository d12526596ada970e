import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from training import metrics

LABELS = ("a", "b", "c")


def test_known_answers() -> None:
    """Three of four a right, one of two b right, c does not occur but is answered once."""
    y_true, y_pred = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 2])
    result = metrics.score(y_true, y_pred, LABELS, groups=2)
    assert result.accuracy == 0.6667
    assert result.recall == {"a": 0.75, "b": 0.5}
    assert result.uar == 0.625
    # F1 of a: precision 1, recall 3/4 -> 6/7; of b: 1/2, 1/2 -> 1/2
    assert result.macro_f1 == pytest.approx((6 / 7 + 1 / 2) / 2, abs=1e-4)
    assert result.confusion == ((3, 1, 0), (0, 1, 1), (0, 0, 0))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3))
def test_uar_is_balanced_accuracy(pairs: list[tuple[int, int]]) -> None:
    y_true, y_pred = np.array(pairs).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that are answered and never true
        expected = balanced_accuracy_score(y_true, y_pred)
    assert metrics.score(y_true, y_pred, LABELS, 1).uar == pytest.approx(expected, abs=1e-4)


def confident(temperature: float, count: int = 4000) -> tuple[list[np.ndarray], np.ndarray]:
    """Logits that are right as often as their softmax says, then multiplied by `temperature`."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, 3))
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y_true = (odds.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return [row[None].astype(np.float32) * temperature for row in logits], y_true


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found(temperature: float) -> None:
    logits, y_true = confident(temperature)
    assert metrics.fit_temperature(logits, y_true) == pytest.approx(temperature, rel=0.06)


def test_calibration_error_falls_with_the_right_temperature() -> None:
    logits, y_true = confident(3.0)
    before = metrics.recording_probabilities(logits, 1.0)
    groups = [str(i % 5) for i in range(len(y_true))]
    after = metrics.cross_fitted_probabilities(logits, y_true, groups)
    assert metrics.expected_calibration_error(before, y_true) > 0.1
    assert metrics.expected_calibration_error(after, y_true) < 0.02


def test_calibration_error_known_answer() -> None:
    """Always sure by 0.8, right half of the time: the gap is 0.3."""
    probabilities = np.tile([0.8, 0.2], (10, 1))
    y_true = np.array([0, 1] * 5)
    assert metrics.expected_calibration_error(probabilities, y_true) == pytest.approx(0.3)


def test_cross_fitting_never_sees_its_own_group() -> None:
    """How one group is labelled changes the temperature of all others, not its own."""
    logits, y_true = confident(2.0, count=300)
    groups = [str(i % 3) for i in range(300)]
    before = metrics.cross_fitted_probabilities(logits, y_true, groups)
    spoilt = np.where(np.arange(300) % 3 == 0, (y_true + 1) % 3, y_true)
    after = metrics.cross_fitted_probabilities(logits, spoilt, groups)
    np.testing.assert_allclose(after[::3], before[::3])
    assert np.abs(after[1::3] - before[1::3]).max() > 0.05
    assert np.abs(after[2::3] - before[2::3]).max() > 0.05


@given(st.floats(0.2, 5.0))
@settings(max_examples=20)
def test_the_mean_over_clips_is_answered(temperature: float) -> None:
    clips = np.float32([[2, 0], [0, 1]])
    expected = 1 / (1 + np.exp(np.array([-2, 1]) / temperature))
    [answer] = metrics.recording_probabilities([clips], temperature)
    assert answer[0] == pytest.approx(expected.mean(), rel=1e-5)
