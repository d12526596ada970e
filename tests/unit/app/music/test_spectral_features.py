"""librosa is the reference; sounds whose answers are known are in the tests of the genres."""

from pathlib import Path

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from app.audio.stft import WINDOWS, WindowName, power_spectrogram
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from app.music.spectral_features import (
    MFCC_COUNT,
    SpectralShape,
    mel_spectrogram_db,
    mfcc,
    spectral_shape,
    tempo,
    zero_crossing_rate,
)
from app.rendering.spectrogram import HOP_LENGTH, N_FFT, SAMPLE_RATE
from tests.support.sounds import tone

LIBRARY = sorted((Path(__file__).parents[4] / "assets" / "genres").glob("*/*.ogg"))


def power_of(samples: NDArray[np.float32], window: WindowName = "hann") -> NDArray[np.float32]:
    return power_spectrogram(samples, n_fft=N_FFT, hop_length=HOP_LENGTH, window=window)


def spectral_by_librosa(power: NDArray[np.float32]) -> SpectralShape:
    energy = power.sum(axis=0)
    magnitude = np.sqrt(power[:, energy > energy.max() * 1e-6])
    feature = librosa.feature
    means = {
        "centroid": feature.spectral_centroid(S=magnitude, sr=SAMPLE_RATE).mean(),
        "bandwidth": feature.spectral_bandwidth(S=magnitude, sr=SAMPLE_RATE).mean(),
        "rolloff": feature.spectral_rolloff(S=magnitude, sr=SAMPLE_RATE).mean(),
        "flatness": feature.spectral_flatness(S=magnitude).mean(),
        # librosa takes 10 log10 of what it is given, here magnitudes: dB are twice that.
        "contrast": 2 * feature.spectral_contrast(S=magnitude, sr=SAMPLE_RATE).mean(),
    }
    return SpectralShape(**{name: float(mean) for name, mean in means.items()})


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_music_is_measured_as_librosa_does(path: Path) -> None:
    samples = (
        RecordingReader(AudioLimits()).read(path.read_bytes(), sample_rate=SAMPLE_RATE).samples
    )
    for window in WINDOWS:
        power = power_of(samples, window)
        ours, theirs = spectral_shape(power), spectral_by_librosa(power)
        for name, value in vars(theirs).items():
            assert getattr(ours, name) == pytest.approx(value, rel=1e-3), (name, window)
    crossings = np.count_nonzero(librosa.zero_crossings(samples, pad=False))
    assert zero_crossing_rate(samples) == pytest.approx(crossings / samples.size * SAMPLE_RATE)
    mel_db = mel_spectrogram_db(power_of(samples))
    expected = librosa.feature.mfcc(y=samples, sr=SAMPLE_RATE, n_mfcc=MFCC_COUNT).mean(axis=1)
    np.testing.assert_allclose(mfcc(mel_db), expected, atol=0.01)
    [beats] = librosa.feature.tempo(y=samples, sr=SAMPLE_RATE)
    assert tempo(mel_db) == pytest.approx(beats)


@pytest.mark.parametrize("beats", [70, 100, 140])
def test_tempo_of_clicks(beats: int) -> None:
    times = np.arange(0, 12, 60 / beats)
    clicks = librosa.clicks(times=times, sr=SAMPLE_RATE, length=12 * SAMPLE_RATE)
    found = tempo(mel_spectrogram_db(power_of(clicks.astype(np.float32))))
    # Periods are whole frames.
    assert 60 / found == pytest.approx(60 / beats, abs=HOP_LENGTH / SAMPLE_RATE)


def test_the_zero_crossing_rate_of_a_tone() -> None:
    assert zero_crossing_rate(tone(440, 2.0, SAMPLE_RATE)) == pytest.approx(880, abs=1)


@pytest.mark.parametrize("samples", [1, 100, 5000])
def test_a_recording_may_be_short(samples: int) -> None:
    sound = tone(1000, 1.0, SAMPLE_RATE)[1 : 1 + samples]
    power = power_of(sound)
    mel_db = mel_spectrogram_db(power)
    values = [
        *vars(spectral_shape(power)).values(),
        tempo(mel_db),
        *mfcc(mel_db),
        zero_crossing_rate(sound),
    ]
    assert np.isfinite(values).all()
