import io
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal as scipy_signal

from app.audio.stft import (
    WINDOWS,
    WindowName,
    analysis_window,
    frame_count,
    power_spectrogram,
    power_spectrogram_blocks,
    stft,
)
from tests.support.cards import SCIPY_NAME
from tests.support.sounds import RATE, make, tone

N_FFT, HOP = 1024, 320

NOISE = np.random.default_rng(1).standard_normal(30_011).astype(np.float32)
SIGNALS = {
    "noise": NOISE,
    "tone": tone(997.0, seconds=1.3),
    "two tones far apart in level": tone(440.0) + 1e-3 * tone(3000.0),
    "sweep": make("siren", seed=1),
    "impulse": np.eye(1, 5000, 2500, dtype=np.float32)[0],
    "shorter than a window": NOISE[:100],
}


def relative_error(ours: NDArray[np.complex64], theirs: NDArray[np.complex128]) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def by_scipy(samples: NDArray[np.float32], window: WindowName) -> NDArray[np.complex128]:
    transform = scipy_signal.ShortTimeFFT(
        scipy_signal.get_window(SCIPY_NAME[window], N_FFT).astype(np.float64),
        HOP,
        RATE,
        phase_shift=None,
    )
    # It refuses signals shorter than a window; zeros behind change nothing.
    padded = np.pad(samples.astype(np.float64), (0, max(0, N_FFT - samples.size)))
    # Its frame p starts at p * hop - n_fft / 2, as ours do; it pads with zeros likewise.
    return transform.stft(padded, p0=0, p1=frame_count(samples.size, HOP))


def by_librosa(samples: NDArray[np.float32], window: WindowName) -> NDArray[np.complex128]:
    return librosa.stft(
        samples.astype(np.float64),
        n_fft=N_FFT,
        hop_length=HOP,
        window=SCIPY_NAME[window],
        pad_mode="constant",
    )


def by_torch(samples: NDArray[np.float32], window: WindowName) -> NDArray[np.complex128]:
    taps = torch.from_numpy(scipy_signal.get_window(SCIPY_NAME[window], N_FFT))
    spectrum = torch.stft(
        torch.from_numpy(samples.astype(np.float64)),
        n_fft=N_FFT,
        hop_length=HOP,
        window=taps,
        pad_mode="constant",
        return_complex=True,
    )
    return spectrum.numpy()


@pytest.mark.parametrize("reference", [by_scipy, by_librosa, by_torch])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", SIGNALS)
def test_agrees_with(reference, window: WindowName, name: str) -> None:
    samples = SIGNALS[name]
    ours = stft(samples, n_fft=N_FFT, hop_length=HOP, window=window)
    assert ours.dtype == np.complex64
    assert relative_error(ours, reference(samples, window)) < 1e-5


@pytest.mark.parametrize("reference", [by_scipy, by_librosa, by_torch])
@pytest.mark.parametrize("window", WINDOWS)
def test_agrees_on_real_recordings(reference, window: WindowName, real_clips: list[bytes]) -> None:
    for clip in real_clips:
        samples, _ = soundfile.read(io.BytesIO(clip), dtype="float32")
        ours = stft(samples, n_fft=N_FFT, hop_length=HOP, window=window)
        assert relative_error(ours, reference(samples, window)) < 1e-5


@pytest.mark.parametrize("window", WINDOWS)
def test_parsevals_identity(window: WindowName) -> None:
    """The energy of each windowed frame is that of its spectrum, divided by n_fft."""
    power = power_spectrogram(NOISE, n_fft=N_FFT, hop_length=HOP, window=window)
    two_sided = 2 * power.sum(axis=0) - power[0] - power[-1]
    padded = np.pad(NOISE.astype(np.float64), N_FFT // 2)
    taps = analysis_window(window, N_FFT)
    energy = [
        np.sum((padded[HOP * t : HOP * t + N_FFT] * taps) ** 2) for t in range(power.shape[1])
    ]
    np.testing.assert_allclose(two_sided / N_FFT, energy, rtol=1e-5)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("bin_number", [3, 64, 300, 511])
def test_a_tone_stands_in_its_bin_with_its_amplitude(window: WindowName, bin_number: int) -> None:
    """A sine of amplitude A at the centre of a bin has magnitude A / 2 times the window's sum."""
    samples = tone(bin_number * RATE / N_FFT, amplitude=0.5)
    magnitude = np.abs(stft(samples, n_fft=N_FFT, hop_length=HOP, window=window))
    inner = magnitude[:, 2:-2]  # frames without the zeros beyond the ends
    assert set(inner.argmax(axis=0)) == {bin_number}
    expected = 0.25 * analysis_window(window, N_FFT).sum()
    np.testing.assert_allclose(inner[bin_number], expected, rtol=1e-3)


def test_hamming_hides_what_leaks_from_a_rectangular_window() -> None:
    """Highest side lobes: rectangular -13 dB, Hann -31 dB, Hamming -43 dB (Harris, 1978)."""
    padding = 16
    expected = {"rectangular": -13.3, "hann": -31.5, "hamming": -42.7}
    for window, level in expected.items():
        response = np.abs(np.fft.rfft(analysis_window(window, 1024), 1024 * padding))
        response_db = 20 * np.log10(response / response[0] + 1e-12)
        first_null = np.flatnonzero(np.diff(response_db) > 0)[0]
        assert response_db[first_null:].max() == pytest.approx(level, abs=0.3)


@given(
    samples=st.integers(1, 3000),
    half=st.integers(1, 300),
    hop=st.integers(1, 500),
    window=st.sampled_from(WINDOWS),
)
def test_every_shape_is_covered(samples: int, half: int, hop: int, window: WindowName) -> None:
    spectrum = stft(NOISE[:samples], n_fft=2 * half, hop_length=hop, window=window)
    assert spectrum.shape == (half + 1, 1 + samples // hop)
    assert np.isfinite(spectrum).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_fft": 7}, "n_fft must be even and at least 2, got 7"),
        ({"n_fft": 0}, "got 0"),
        ({"hop_length": 0}, "hop_length must be at least 1, got 0"),
    ],
)
def test_bad_parameters_are_named(change: dict[str, int], message: str) -> None:
    parameters = {"n_fft": 64, "hop_length": 16} | change
    with pytest.raises(ValueError, match=message):
        stft(NOISE, window="hann", **parameters)


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_only_one_channel_of_sound_is_accepted(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one-dimensional and not empty"):
        stft(np.zeros(shape, np.float32), n_fft=64, hop_length=16, window="hann")


@given(st.integers(1, 30_011), st.integers(1, 200), st.sampled_from(WINDOWS))
@settings(max_examples=25)
def test_blocks_are_the_spectrogram_cut(samples: int, block: int, window: WindowName) -> None:
    form: dict[str, Any] = {"n_fft": N_FFT, "hop_length": HOP, "window": window}
    whole = power_spectrogram(NOISE[:samples], **form)
    blocks = list(power_spectrogram_blocks(NOISE[:samples], **form, block_frames=block))
    assert {each.shape[1] for each in blocks[:-1]} <= {block}
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


@given(name=st.sampled_from(WINDOWS), length=st.integers(2, 5000))
def test_agrees_with_scipys_periodic_windows(name: WindowName, length: int) -> None:
    expected = scipy_signal.get_window(SCIPY_NAME[name], length, fftbins=True)
    np.testing.assert_allclose(analysis_window(name, length), expected, atol=1e-7)


def test_unknown_window_is_named_with_what_is_accepted() -> None:
    with pytest.raises(ValueError, match="'kaiser'; accepted: hann, hamming, rectangular"):
        analysis_window("kaiser", 8)  # type: ignore[arg-type]


def test_one_sample_is_no_window() -> None:
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        analysis_window("hann", 1)
