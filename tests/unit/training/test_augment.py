from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.log_mel import mel_frequencies, mel_power
from tests.support.sounds import RATE, tone
from training import augment
from training.recipes import Recipe, log_mel_config

RECIPE = Recipe(clip_seconds=1.0, crop_seconds=1.0, epochs=1)
LOG_MEL = log_mel_config(RECIPE, "hann")
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


def test_a_faster_recording_is_shorter_and_higher() -> None:
    faster = augment.change_speed(tone(1000, 1.0), 1.25)
    assert faster.size == pytest.approx(RATE / 1.25, abs=2)
    assert faster.dtype == np.float32
    pitch = np.abs(np.fft.rfft(faster)).argmax() * RATE / faster.size
    assert pitch == pytest.approx(1250, abs=2)
    np.testing.assert_array_equal(augment.change_speed(COUNT, 1.0), COUNT)


@given(st.floats(0.01, 0.99))
def test_mixing_shares_the_power(weight: float) -> None:
    first, second = tone(500, amplitude=0.9), tone(2000, amplitude=0.1)
    power = np.abs(np.fft.rfft(augment.mixup(first, second, weight))) ** 2
    assert power[500] / (power[500] + power[2000]) == pytest.approx(weight, abs=1e-3)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_level_asked_for(snr_db: float) -> None:
    samples = tone(1000, 4.0)
    noise = augment.add_noise(samples, snr_db, np.random.default_rng(0)) - samples
    ratio = 10 * np.log10(np.mean(samples**2) / np.mean(noise**2))
    assert ratio == pytest.approx(snr_db, abs=0.2)


def test_an_equaliser_is_smooth_and_within_its_range() -> None:
    power = np.ones((64, 3), np.float32)
    gain_db = 10 * np.log10(augment.random_eq(power, 6.0, np.random.default_rng(3)))
    assert np.abs(gain_db).max() <= 6.0
    assert np.ptp(gain_db) > 1
    assert np.abs(np.diff(gain_db, axis=0)).max() < 1
    assert (gain_db[:, 0] == gain_db[:, 2]).all()


def test_spec_augment_blanks_stripes_and_nothing_else() -> None:
    picture = np.ones((64, 151), np.float32)
    widths = []
    for seed in range(50):
        masked = augment.spec_augment(picture, RECIPE, np.random.default_rng(seed))
        bands, frames = ~masked.any(axis=1), ~masked.any(axis=0)
        assert (masked == ~(bands[:, None] | frames)).all()
        assert bands.sum() <= 2 * RECIPE.frequency_mask
        widths.append(frames.sum())
    assert 0 < max(widths) <= 2 * RECIPE.time_mask
    assert (picture == 1).all()


def test_the_widest_stripe_is_as_wide_as_the_recipe_says() -> None:
    """Of a width of 0 or 1, two in 50 pictures are never 0 all along."""
    picture = np.ones((64, 151), np.float32)
    for masks in ({"time_mask": 1, "frequency_mask": 0}, {"time_mask": 0, "frequency_mask": 1}):
        recipe = replace(RECIPE, **masks)
        blanked = [
            augment.spec_augment(picture, recipe, np.random.default_rng(seed)) == 0
            for seed in range(50)
        ]
        axis = 0 if masks["time_mask"] else 1
        assert {int(each.all(axis=axis).sum()) for each in blanked} == {0, 1, 2}
        assert not any(each.any(axis=axis).sum() > 2 for each in blanked)


def test_a_room_keeps_the_power_and_rings_on() -> None:
    click = np.zeros(16_000, np.float32)
    click[100] = 1.0
    wet = augment.reverberate(click, 0.5, 16_000, np.random.default_rng(0))
    assert wet.shape == click.shape
    assert np.mean(wet**2) == pytest.approx(np.mean(click**2), rel=1e-4)
    assert np.abs(wet[:100]).max() < 1e-7 * np.abs(wet).max()
    # Polack's model: 60 dB in half a second, so the energy of each quarter falls by 15 dB.
    tail = wet[101:8101].reshape(4, 2000)
    quarters = 10 * np.log10(np.sum(tail**2, axis=1))
    np.testing.assert_allclose(np.diff(quarters), -15, atol=1.5)
    assert np.abs(wet[8200:]).max() < 1e-6


def test_warping_moves_frequencies_and_stretches_time() -> None:
    centres = mel_frequencies(LOG_MEL)
    t = np.arange(16_000) / 16_000
    power = mel_power(np.sin(2 * np.pi * 1000 * t).astype(np.float32), LOG_MEL)
    np.testing.assert_allclose(
        augment.vtlp(power, power.shape[1], 1.0, centres), power, rtol=1e-5, atol=1e-7
    )
    warped = augment.vtlp(power, 30, 1.2, centres)
    assert warped.shape == (64, 30)
    loudest = centres[warped.mean(axis=1).argmax()]
    assert loudest == pytest.approx(1200, abs=50)


def test_stretching_keeps_the_order_of_frames() -> None:
    power = np.tile(np.arange(50, dtype=np.float32), (64, 1))
    stretched = augment.vtlp(power, 99, 1.0, mel_frequencies(LOG_MEL))
    np.testing.assert_allclose(stretched[0], np.arange(99) / 2, atol=1e-4)


def test_factors_lie_around_one() -> None:
    rng = np.random.default_rng(0)
    drawn = [augment.uniform_scale(0.2, rng) for _ in range(500)]
    assert 0.8 <= min(drawn) < 0.82
    assert 1.18 < max(drawn) <= 1.2
    assert augment.uniform_scale(0.0, rng) == 1.0
