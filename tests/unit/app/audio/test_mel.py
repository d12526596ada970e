import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.mel import hz_to_mel, mel_filterbank, mel_to_hz


@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"),
    [
        (16_000, 1024, 64, 50.0, 8000.0),
        (22_050, 2048, 128, 0.0, 11_025.0),
        (44_100, 512, 40, 20.0, 16_000.0),
    ],
)
def test_filters_agree_with_librosa(
    rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float
) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    np.testing.assert_allclose(mel_filterbank(rate, n_fft, n_mels, fmin, fmax), expected, atol=1e-8)


@given(st.floats(0, 24_000))
def test_scale_agrees_with_librosa_and_back(hertz: float) -> None:
    frequency = np.array([hertz])
    np.testing.assert_allclose(hz_to_mel(frequency), librosa.hz_to_mel(frequency), atol=1e-9)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(frequency)), frequency, atol=1e-6)


def test_a_band_above_half_the_sample_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fmin < fmax <= 8000 Hz, got fmin=50, fmax=9000"):
        mel_filterbank(16_000, 1024, 64, 50.0, 9000.0)
