import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from app.audio.stft import analysis_window
from app.audio.windows import WINDOWS, WindowName

SCIPY_NAME = {"hann": "hann", "hamming": "hamming", "rectangular": "boxcar"}


@given(name=st.sampled_from(WINDOWS), length=st.integers(2, 5000))
def test_agrees_with_scipys_periodic_windows(name: WindowName, length: int) -> None:
    expected = signal.get_window(SCIPY_NAME[name], length, fftbins=True)
    np.testing.assert_allclose(analysis_window(name, length), expected, atol=1e-7)


def test_unknown_window_is_named_with_what_is_accepted() -> None:
    with pytest.raises(ValueError, match="'kaiser'; accepted: hann, hamming, rectangular"):
        analysis_window("kaiser", 8)  # type: ignore[arg-type]


def test_one_sample_is_no_window() -> None:
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        analysis_window("hann", 1)
