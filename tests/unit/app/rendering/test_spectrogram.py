import tracemalloc

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audio.stft import WINDOWS, WindowName
from app.rendering.spectrogram import HOP_LENGTH, N_FFT, SAMPLE_RATE, compute_spectrogram
from tests.support.cards import SCIPY_NAME
from tests.support.sounds import tone

FRAME = HOP_LENGTH / SAMPLE_RATE


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.standard_normal(round(seconds * SAMPLE_RATE), dtype=np.float32)


@pytest.mark.parametrize("window", WINDOWS)
def test_levels_and_axes_agree_with_librosa(window: WindowName) -> None:
    samples = noise(3.0) * np.linspace(0.001, 1, 3 * SAMPLE_RATE, dtype=np.float32)
    ours = compute_spectrogram(samples, window=window, columns=1000, top_db=60)
    theirs = librosa.stft(samples, n_fft=N_FFT, hop_length=HOP_LENGTH, window=SCIPY_NAME[window])
    power = np.abs(theirs) ** 2
    expected = librosa.power_to_db(power, ref=np.max, amin=1e-10, top_db=60)
    np.testing.assert_allclose(ours.db, expected, atol=0.01)
    assert ours.db.max() == 0
    assert ours.db.min() == pytest.approx(-60)
    times = librosa.times_like(expected, sr=SAMPLE_RATE, hop_length=HOP_LENGTH)
    np.testing.assert_allclose(ours.times, times)
    frequencies = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=N_FFT)
    np.testing.assert_allclose(ours.frequencies, frequencies)


@given(st.integers(1, 3 * SAMPLE_RATE), st.integers(1, 150))
@settings(deadline=None, max_examples=25)
def test_frames_that_do_not_fit_are_joined_by_their_maximum(samples: int, columns: int) -> None:
    sound = noise(3.0)[:samples]
    whole = compute_spectrogram(sound, window="hann", columns=10_000, top_db=80)
    shown = compute_spectrogram(sound, window="hann", columns=columns, top_db=80)
    assert shown.db.shape == (1025, shown.times.size)
    assert shown.times.size <= columns
    joined = round(shown.column_seconds / FRAME)
    for column, time in enumerate(shown.times):
        frames = slice(column * joined, (column + 1) * joined)
        np.testing.assert_array_equal(shown.db[:, column], whole.db[:, frames].max(axis=1))
        assert time == pytest.approx((column * joined + (joined - 1) / 2) * FRAME)


def test_a_click_in_a_long_recording_stays_bright() -> None:
    samples = 1e-3 * noise(120.0)
    samples[90 * SAMPLE_RATE] = 1.0
    shown = compute_spectrogram(samples, window="hann", columns=100, top_db=80)
    column = int(shown.db.mean(axis=0).argmax())
    assert shown.times[column] == pytest.approx(90, abs=shown.column_seconds)
    assert shown.db[:, column].mean() > -10


def test_a_tone_is_loudest_at_its_frequency() -> None:
    samples = tone(3000, 2.0, SAMPLE_RATE)
    shown = compute_spectrogram(samples, window="hann", columns=1000, top_db=80)
    row = int(shown.db[:, shown.times.size // 2].argmax())
    assert shown.frequencies[row] == pytest.approx(3000, abs=SAMPLE_RATE / N_FFT / 2)


def test_memory_does_not_grow_with_the_recording() -> None:
    samples = np.tile(noise(10.0), 30)  # its spectrogram has 53 MB
    tracemalloc.start()
    compute_spectrogram(samples, window="hann", columns=200, top_db=80)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < samples.nbytes + 20_000_000
