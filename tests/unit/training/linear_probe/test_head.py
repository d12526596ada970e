"""The head on embeddings, on points of known places."""

import numpy as np
import pytest

from training.linear_probe.head import fit_head

AXES = np.eye(4, dtype=np.float32)


def test_each_label_is_found_on_its_axis_at_any_length() -> None:
    rng = np.random.default_rng(0)
    y_true = np.repeat([0, 1, 2], 10)
    points = AXES[y_true] + rng.normal(0, 0.05, (30, 4)).astype(np.float32)
    head = fit_head(points, y_true, np.ones(30), 3)
    outputs = head.outputs(np.concatenate([AXES[:3] * 0.01, AXES[:3] * 100]))
    assert outputs[:, :3].argmax(axis=1).tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_allclose(outputs[:3], outputs[3:], atol=1e-5)


def test_the_last_output_is_the_cosine_to_the_nearest_prototype() -> None:
    y_true = np.repeat([0, 1], 5)
    head = fit_head(AXES[y_true], y_true, np.ones(10), 2)
    between = AXES[0] + AXES[3]
    nearness = head.outputs(np.stack([AXES[0], AXES[1], between, AXES[3]]))[:, -1]
    np.testing.assert_allclose(nearness, [1, 1, np.sqrt(0.5), 0], atol=1e-6)


def test_labels_weigh_the_same_however_many_clips_they_have() -> None:
    y_true = np.repeat([0, 1], [90, 10])
    head = fit_head(AXES[y_true], y_true, np.ones(100), 2)
    assert head.outputs(AXES[:1] + AXES[1:2])[0, :2] == pytest.approx([0, 0], abs=1e-3)


def test_a_label_that_does_not_occur_is_never_the_answer() -> None:
    y_true = np.repeat([0, 2], 5)
    head = fit_head(AXES[y_true], y_true, np.ones(10), 3)
    assert head.outputs(AXES)[:, 1].tolist() == [-30] * 4
