"""A head that is fitted on statistics, here drawn from distributions that are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.fine_tuning.frozen_head import (
    HeadRecipe,
    LabelledStatistics,
    Statistics,
    add_ood_output,
    fit_frozen_head,
)

RECIPE = HeadRecipe(augmented_versions=1, epochs=20, head_batch_size=32)
FEATURES = 12
LABELS = 3
CENTRES = 4 * np.eye(LABELS, FEATURES)
SCALES = np.geomspace(0.01, 100, FEATURES)
SHIFTS = np.linspace(-50, 50, FEATURES) * SCALES


def draw(y_true: np.ndarray, seed: int, versions: int = 2) -> Statistics:
    """Each label around its own centre, each feature in a unit of its own."""
    noise = np.random.default_rng(seed).normal(0, 0.7, (versions, y_true.size, FEATURES))
    return ((CENTRES[y_true] + noise) * SCALES + SHIFTS).astype(np.float16)


def labelled(y_true: np.ndarray, seed: int = 0) -> LabelledStatistics:
    return LabelledStatistics(
        draw(y_true, seed),
        y_true,
        np.full(y_true.size, 1 / y_true.size),
        np.zeros((y_true.size, LABELS), np.float32),
    )


def outputs(head: torch.nn.Module, statistics: Statistics) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = head(torch.from_numpy(statistics[0]).float()).numpy()
    return found


Y_TRUE = np.arange(300) % LABELS


def test_labels_are_told_whatever_unit_a_feature_has() -> None:
    head = fit_frozen_head(labelled(Y_TRUE), RECIPE, seed=0)
    y_pred = outputs(head, draw(Y_TRUE, seed=1)).argmax(axis=1)
    assert np.mean(y_pred == Y_TRUE) > 0.98


def test_the_same_seed_gives_the_same_head() -> None:
    data, recipe = labelled(Y_TRUE), replace(RECIPE, epochs=1)
    first, again, other = (fit_frozen_head(data, recipe, seed) for seed in (1, 1, 2))
    assert torch.equal(first.linear.weight, again.linear.weight)
    assert not torch.equal(first.linear.weight, other.linear.weight)


def test_what_is_never_drawn_is_not_learned() -> None:
    """Recordings of weight 0 have the wrong label here."""
    data = labelled(Y_TRUE)
    wrong = np.where(np.arange(300) < 150, (Y_TRUE + 1) % LABELS, Y_TRUE)
    weights = np.where(np.arange(300) < 150, 0.0, 1 / 150)
    head = fit_frozen_head(replace(data, y_true=wrong, weights=weights), RECIPE, seed=0)
    assert np.mean(outputs(head, draw(Y_TRUE, seed=1)).argmax(axis=1) == Y_TRUE) > 0.98


def test_augmented_versions_are_learned_too() -> None:
    """They are mirrored here: a head that never drew them is at a loss."""

    def mirror(statistics: Statistics) -> Statistics:
        return (2 * SHIFTS - statistics).astype(np.float16)

    data = labelled(Y_TRUE)
    data.statistics[1] = mirror(data.statistics[1])
    new = mirror(draw(Y_TRUE, seed=1))
    accuracy = []
    for probability in (0.0, 0.6):
        recipe = replace(RECIPE, epochs=60, augmented_probability=probability)
        y_pred = outputs(fit_frozen_head(data, recipe, seed=0), new).argmax(axis=1)
        accuracy.append(np.mean(y_pred == Y_TRUE))
    without, with_them = accuracy
    assert without < 0.6
    assert with_them > 0.95


@pytest.mark.parametrize("versions", [1, 2])
def test_the_last_output_is_low_for_what_is_out_of_distribution(versions: int) -> None:
    head = fit_frozen_head(labelled(Y_TRUE), RECIPE, seed=0)
    inside = draw(Y_TRUE, 0, versions)
    rng = np.random.default_rng(5)

    def strangers() -> Statistics:
        centre = np.r_[np.zeros(LABELS), np.full(FEATURES - LABELS, 5)]
        noise = rng.normal(0, 0.7, (1, 200, FEATURES))
        return ((centre + noise) * SCALES + SHIFTS).astype(np.float16)

    before = outputs(head, inside)
    add_ood_output(head, inside, np.full(300, 1 / 300), strangers(), np.full(200, 1.0))
    after = outputs(head, inside)
    np.testing.assert_allclose(after[:, :LABELS], before, rtol=1e-4, atol=1e-4)
    new_inside = outputs(head, draw(Y_TRUE, 7))[:, LABELS]
    new_outside = outputs(head, strangers())[:, LABELS]
    # Both sides weigh the same, so the odds are even in the middle.
    assert np.mean(new_inside > 0) > 0.97
    assert np.mean(new_outside < 0) > 0.97
