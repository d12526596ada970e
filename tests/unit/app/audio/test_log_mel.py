from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.audio.log_mel import LogMelConfig, log_mel, mel_power, power_to_db
from app.audio.stft import WINDOWS, WindowName
from tests.support.cards import LOG_MEL, PARAMETERS, SCIPY_NAME
from tests.support.sounds import make, tone


@pytest.mark.parametrize("window", WINDOWS)
def test_agrees_with_librosa(window: WindowName) -> None:
    samples = make("siren", seed=3)
    config = LOG_MEL.model_copy(update={"window": window})
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=16_000,
        n_fft=1024,
        hop_length=320,
        window=SCIPY_NAME[window],
        pad_mode="constant",
        n_mels=64,
        fmin=50,
        fmax=8000,
    )
    np.testing.assert_allclose(
        mel_power(samples, config), power, rtol=1e-4, atol=1e-5 * power.max()
    )
    db = librosa.power_to_db(power, amin=1e-10, top_db=80)
    np.testing.assert_allclose(log_mel(samples, config), (db - db.mean()) / db.std(), atol=2e-3)


def test_shape_and_scale() -> None:
    spectrogram = log_mel(make("dog_bark", seed=1), LOG_MEL)
    assert spectrogram.shape == (64, LOG_MEL.frames) == (64, 101)
    assert spectrogram.dtype == np.float32
    assert spectrogram.mean() == pytest.approx(0, abs=1e-4)
    assert spectrogram.std() == pytest.approx(1, abs=1e-4)


def test_without_normalisation_it_is_in_db() -> None:
    config = LOG_MEL.model_copy(update={"normalisation": "none"})
    samples = make("siren", seed=3)
    db = log_mel(samples, config)
    assert db.dtype == np.float32
    expected = power_to_db(mel_power(samples, config), amin=config.amin, top_db=config.top_db)
    np.testing.assert_array_equal(db, expected)
    assert db.max() - db.min() <= config.top_db
    # A tenth of the amplitude is 20 dB less, and silence is at the floor of 10 log10(amin).
    np.testing.assert_allclose(log_mel(samples / np.float32(10), config), db - 20, atol=0.01)
    np.testing.assert_allclose(log_mel(np.zeros(32_000, np.float32), config), -100, atol=1e-4)


@given(gain_db=st.floats(-40, 20))
@settings(max_examples=20)
def test_gain_changes_nothing(gain_db: float) -> None:
    samples = make("car_horn", seed=2)
    louder = samples * np.float32(10 ** (gain_db / 20))
    np.testing.assert_allclose(log_mel(louder, LOG_MEL), log_mel(samples, LOG_MEL), atol=1e-3)


def test_digital_silence_is_all_zeros() -> None:
    assert not log_mel(np.zeros(32_000, np.float32), LOG_MEL).any()


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    centres = librosa.mel_frequencies(n_mels=66, fmin=50, fmax=8000)[1:-1]
    for band in (5, 30, 60):
        spectrogram = log_mel(tone(centres[band], seconds=2), LOG_MEL)
        assert spectrogram.mean(axis=1).argmax() == band


def test_decibels_known_values() -> None:
    power = np.float32([[1.0, 0.1, 1e-4, 1e-20]])
    np.testing.assert_allclose(
        power_to_db(power, amin=1e-10, top_db=60), [[0, -10, -40, -60]], atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fmax": 9000.0}, "fmax <= sample_rate / 2 = 8000 Hz"),
        ({"fmin": 8000.0}, "fmin=8000"),
        ({"clip_hop_seconds": 3.0}, "must not be longer than clip_seconds"),
        ({"window": "kaiser"}, "'hann', 'hamming' or 'rectangular'"),
        ({"n_fft": 1023}, "multiple of 2"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_inconsistent_parameters_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LogMelConfig(**PARAMETERS | change)
