"""Front ends in plain operators do what the libraries' own do."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchaudio.transforms import Resample

from training.networks.front_ends import PowerSpectrum, Resampler


@given(
    win_length=st.sampled_from([8, 30, 60, 64]),
    hop_length=st.sampled_from([4, 10, 16, 30, 70]),
    padding=st.integers(0, 40),
    extra=st.integers(0, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_power_is_that_of_torch(
    win_length: int, hop_length: int, padding: int, extra: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n_fft = win_length + padding
    window = torch.from_numpy(rng.uniform(0.1, 1, win_length))
    samples = torch.from_numpy(rng.standard_normal((2, n_fft + extra)))
    spectrum = PowerSpectrum(window, hop_length, n_fft)
    power = spectrum(samples.float())
    assert power.shape == (2, spectrum.frame_count(samples.shape[1]), n_fft // 2 + 1)
    # torch pads the window on both sides, which shifts frames and leaves their power.
    before = padding // 2
    shifted = torch.nn.functional.pad(samples, (before, 0))
    expected = torch.stft(
        shifted, n_fft, hop_length, win_length, window, center=False, return_complex=True
    )
    expected = expected.abs().square().transpose(1, 2)
    np.testing.assert_allclose(power[:, : expected.shape[1]], expected, rtol=1e-3, atol=1e-4)


def test_a_tone_has_its_power_in_its_bin() -> None:
    times = torch.arange(2048) / 2048
    power = PowerSpectrum(torch.ones(2048), 512, 2048)(torch.cos(2 * torch.pi * 100 * times)[None])
    assert power.shape == (1, 1, 1025)
    assert int(power.argmax()) == 100
    np.testing.assert_allclose(float(power[0, 0, 100]), 1024.0**2, rtol=1e-4)
    assert float(power.sum() - power[0, 0, 100]) < 1.0


@given(
    rates=st.sampled_from([(44_100, 16_000), (48_000, 16_000), (22_050, 16_000), (8_000, 16_000)]),
    length=st.integers(1_000, 3_000),
)
def test_resamples_as_torchaudio_does(rates: tuple[int, int], length: int) -> None:
    samples = torch.randn(2, length, generator=torch.Generator().manual_seed(length))
    expected = Resample(*rates, lowpass_filter_width=16)(samples)
    np.testing.assert_allclose(Resampler(*rates)(samples), expected, atol=1e-6)
