import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sounds import RATE, tone
from training import augment
from training.recipes import Recipe

RECIPE = Recipe(clip_seconds=1.0, crop_seconds=1.0, epochs=1)
COUNT = np.arange(1000, dtype=np.float32)


@given(st.integers(0, 10_000))
def test_a_crop_is_a_stretch_of_the_recording(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crop = augment.random_crop(COUNT, 300, "repeat", 0.0, rng)
    np.testing.assert_array_equal(crop, np.arange(crop[0], crop[0] + 300))


@given(st.integers(0, 10_000))
def test_a_short_recording_is_repeated_and_turned(seed: int) -> None:
    crop = augment.random_crop(COUNT[:100], 300, "repeat", 0.0, np.random.default_rng(seed))
    assert crop.size == 300
    assert set(np.diff(crop)) <= {1, -99}


def test_speed_moves_the_pitch_within_its_range() -> None:
    pitches = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        crop = augment.random_crop(tone(1000, 2.0), RATE, "repeat", 0.1, rng)
        pitches.append(int(np.abs(np.fft.rfft(crop)).argmax()))
    assert 900 <= min(pitches) < 930
    assert 1070 < max(pitches) <= 1100


@given(st.floats(0.01, 0.99))
def test_mixing_shares_the_power(weight: float) -> None:
    first, second = tone(500, amplitude=0.9), tone(2000, amplitude=0.1)
    power = np.abs(np.fft.rfft(augment.mix(first, second, weight))) ** 2
    assert power[500] / (power[500] + power[2000]) == pytest.approx(weight, abs=1e-3)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_level_asked_for(snr_db: float) -> None:
    samples = tone(1000, 4.0)
    noise = augment.add_noise(samples, snr_db, np.random.default_rng(0)) - samples
    ratio = 10 * np.log10(np.mean(samples**2) / np.mean(noise**2))
    assert ratio == pytest.approx(snr_db, abs=0.2)


def test_a_tilt_is_smooth_and_within_its_range() -> None:
    power = np.ones((64, 3), np.float32)
    gain_db = 10 * np.log10(augment.tilt(power, 6.0, np.random.default_rng(3)))
    assert np.abs(gain_db).max() <= 6.0
    assert np.ptp(gain_db) > 1
    assert np.abs(np.diff(gain_db, axis=0)).max() < 1
    assert (gain_db[:, 0] == gain_db[:, 2]).all()


def test_masks_blank_stripes_and_nothing_else() -> None:
    picture = np.ones((64, 151), np.float32)
    widths = []
    for seed in range(50):
        masked = augment.mask(picture, RECIPE, np.random.default_rng(seed))
        bands, frames = ~masked.any(axis=1), ~masked.any(axis=0)
        assert (masked == ~(bands[:, None] | frames)).all()
        assert bands.sum() <= 2 * RECIPE.frequency_mask
        widths.append(frames.sum())
    assert 0 < max(widths) <= 2 * RECIPE.time_mask
    assert (picture == 1).all()
