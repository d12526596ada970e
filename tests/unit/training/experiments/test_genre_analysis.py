"""Characteristics of sounds whose answers are known, and what a stranger's files may hold."""

import json
import logging
import tarfile
from dataclasses import asdict
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from app.audio.stft import WINDOWS
from tests.support.sounds import tone
from training.corpora import CorpusError
from training.experiments.genre_analysis import (
    HOP_LENGTH,
    N_FFT,
    SAMPLE_RATE,
    GenreAnalysis,
    SpectralFeatures,
    analyze_genres,
    genre_folders,
)
from training.experiments.genre_figures import write_analysis

BIN_HZ = SAMPLE_RATE / N_FFT


def write(path: Path, samples: NDArray[np.floating], rate: int = SAMPLE_RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)


def measure(path: Path) -> SpectralFeatures:
    [recording] = analyze_genres({"it": [path]}).genres["it"].recordings
    return recording.spectral_features


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two genres: tones (one of them at another rate), and noise with a broken file."""
    root = tmp_path_factory.mktemp("music")
    write(root / "tones" / "a.wav", tone(440.0, 6.0, SAMPLE_RATE))
    write(root / "tones" / "b.wav", tone(880.0, 1.0, 44_100), 44_100)
    write(root / "noise" / "a.wav", noise(2.0))
    (root / "noise" / "broken.wav").write_bytes(b"RIFF, and nothing more")
    return root


@pytest.fixture(scope="module")
def written(library: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[GenreAnalysis, Path]:
    out = tmp_path_factory.mktemp("out") / "not" / "yet"
    analysis = analyze_genres(genre_folders(library))
    write_analysis(analysis, out)
    return analysis, out


def test_a_tone(tmp_path: Path) -> None:
    # 93 whole bins, about 1001 Hz; at both ends of the recording a few frames see its edge.
    hertz = 93 * BIN_HZ
    result = measure(write(tmp_path / "tone.wav", tone(hertz, 10.0, SAMPLE_RATE)))
    hann = result.spectral_shape["hann"]
    assert hann.centroid == pytest.approx(hertz, abs=10)
    assert hann.rolloff == pytest.approx(hertz, abs=2 * BIN_HZ)
    assert hann.bandwidth < 100
    assert hann.flatness < 1e-4
    assert result.zero_crossing_rate == pytest.approx(2 * hertz, abs=1)


def test_white_noise(tmp_path: Path) -> None:
    """Power of a bin is exponentially distributed: flatness is e to minus Euler's constant."""
    result = measure(write(tmp_path / "noise.wav", noise(10.0)))
    for spectral_shape in result.spectral_shape.values():
        assert spectral_shape.flatness == pytest.approx(np.exp(-np.euler_gamma), abs=0.01)
        assert spectral_shape.centroid == pytest.approx(SAMPLE_RATE / 4, rel=0.01)
        # A uniform distribution's standard deviation is its width over the root of 12.
        assert spectral_shape.bandwidth == pytest.approx(SAMPLE_RATE / 2 / np.sqrt(12), rel=0.01)
        assert spectral_shape.rolloff == pytest.approx(0.85 * SAMPLE_RATE / 2, rel=0.01)
    assert result.zero_crossing_rate == pytest.approx(SAMPLE_RATE / 2, rel=0.01)


@pytest.mark.parametrize("beats_per_minute", [90, 120])
def test_tempo_of_clicks(tmp_path: Path, beats_per_minute: int) -> None:
    times = np.arange(0, 12, 60 / beats_per_minute)
    clicks = librosa.clicks(times=times, sr=SAMPLE_RATE, length=12 * SAMPLE_RATE)
    result = measure(write(tmp_path / "clicks.wav", clicks))
    # One frame more or less between beats is 5 BPM.
    assert result.tempo == pytest.approx(beats_per_minute, abs=5)


def test_the_hann_window_agrees_with_librosa(tmp_path: Path) -> None:
    fade = np.linspace(0.3, 1.0, 3 * SAMPLE_RATE, dtype=np.float32)
    samples = fade * (noise(3.0) + tone(700.0, 3.0, SAMPLE_RATE))
    result = measure(write(tmp_path / "mixture.wav", samples))
    feature, sound = librosa.feature, {"y": samples, "sr": SAMPLE_RATE}
    hann = result.spectral_shape["hann"]
    assert hann.centroid == pytest.approx(feature.spectral_centroid(**sound).mean(), rel=1e-4)
    assert hann.bandwidth == pytest.approx(feature.spectral_bandwidth(**sound).mean(), rel=1e-4)
    assert hann.rolloff == pytest.approx(feature.spectral_rolloff(**sound).mean(), rel=1e-4)
    assert hann.flatness == pytest.approx(feature.spectral_flatness(y=samples).mean(), rel=1e-3)
    amplitudes = feature.spectral_contrast(**sound).mean()  # half of what dB would be
    assert hann.contrast == pytest.approx(2 * amplitudes, rel=1e-4)
    np.testing.assert_allclose(
        result.mfcc, feature.mfcc(**sound, n_mfcc=13).mean(axis=1), atol=0.01
    )


def test_a_tone_between_bins_leaks_most_through_the_rectangular_window(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.wav", tone(93.5 * BIN_HZ, 5.0, SAMPLE_RATE))
    spectral_shape = measure(path).spectral_shape
    hann, hamming, rectangular = (spectral_shape[window] for window in WINDOWS)
    assert 2 * hann.bandwidth < hamming.bandwidth < rectangular.bandwidth / 1.5
    assert 2 * hann.flatness < hamming.flatness < rectangular.flatness / 5
    assert hann.contrast > 2 * hamming.contrast > 2 * rectangular.contrast


def test_pauses_do_not_count(tmp_path: Path) -> None:
    """A second of faint noise after two of a tone would otherwise be a third of the mean."""
    sound = tone(93 * BIN_HZ, 2.0, SAMPLE_RATE)
    path = write(tmp_path / "pause.wav", np.concatenate([sound, 1e-4 * noise(1.0)]))
    assert measure(path).spectral_shape["hann"].flatness < 1e-3


def test_summary_over_recordings(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{hz}.wav", tone(hz, 2.0, SAMPLE_RATE)) for hz in (500.0, 1500.0)]
    genre = analyze_genres({"tones": files}).genres["tones"]
    assert genre.mean.zero_crossing_rate == pytest.approx(2000, abs=2)
    assert genre.standard_deviation.zero_crossing_rate == pytest.approx(1000, abs=2)
    first, second = (each.spectral_features for each in genre.recordings)
    for window in WINDOWS:
        centroids = [each.spectral_shape[window].centroid for each in (first, second)]
        assert genre.mean.spectral_shape[window].centroid == pytest.approx(np.mean(centroids))
        assert genre.standard_deviation.spectral_shape[window].centroid == pytest.approx(
            abs(centroids[1] - centroids[0]) / 2
        )
    np.testing.assert_allclose(genre.mean.mfcc, np.mean([first.mfcc, second.mfcc], axis=0))


def test_spectrograms(written: tuple[GenreAnalysis, Path]) -> None:
    """Five seconds of the first recording, its loudest band where the tone is."""
    analysis, _ = written
    centres = librosa.mel_frequencies(130, fmin=0, fmax=SAMPLE_RATE / 2)[1:-1]
    for db in analysis.genres["tones"].spectrograms.values():
        assert db.shape == (128, round(5 * SAMPLE_RATE / HOP_LENGTH))
        assert db.dtype == np.float32
        assert db.min() >= -80
        assert db.max() <= 0
        assert centres[db.mean(axis=1).argmax()] == pytest.approx(440, abs=25)
    floor = {window: np.median(analysis.genres["tones"].spectrograms[window]) for window in WINDOWS}
    assert floor["rectangular"] > floor["hamming"] + 5 > floor["hann"] + 10


def test_an_unreadable_file_is_reported_and_counted(
    written: tuple[GenreAnalysis, Path], library: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = library / "noise" / "broken.wav"
    [skipped] = written[0].skipped
    assert (skipped.genre, skipped.file) == ("noise", str(broken))
    assert "not sound in a format that is accepted" in skipped.reason
    assert len(written[0].genres["noise"].recordings) == 1
    with caplog.at_level(logging.WARNING):
        analyze_genres({"noise": [broken, library / "noise" / "a.wav"]})
    assert f"skipped {broken}: {skipped.reason}" in caplog.text


def test_a_recording_shorter_than_a_frame_is_skipped(tmp_path: Path) -> None:
    short = write(tmp_path / "short.wav", noise(0.09))
    analysis = analyze_genres({"noise": [write(tmp_path / "long.wav", noise(0.1)), short]})
    [skipped] = analysis.skipped
    assert skipped.file == str(short)
    assert "too short: 0.090 s" in skipped.reason


def test_json(written: tuple[GenreAnalysis, Path]) -> None:
    analysis, out = written

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (out / "genres.json").read_text()
    assert text == analysis.to_json()
    content = json.loads(text, parse_constant=refuse)
    assert json.dumps(content, indent=2, sort_keys=True) + "\n" == text
    assert content["analysed"] == 3
    assert content["skipped"] == [asdict(analysis.skipped[0])]
    tones = content["genres"]["tones"]
    assert [Path(each["file"]).name for each in tones["recordings"]] == ["a.wav", "b.wav"]
    assert [each["seconds"] for each in tones["recordings"]] == [6.0, 1.0]
    mean = analysis.genres["tones"].mean
    assert set(tones["mean"]) == set(asdict(mean))
    assert set(tones["mean"]["spectral_shape"]) == set(WINDOWS)
    for window, spectral_shape in mean.spectral_shape.items():
        assert tones["mean"]["spectral_shape"][window] == pytest.approx(
            asdict(spectral_shape), rel=1e-4
        )
        for value in tones["mean"]["spectral_shape"][window].values():
            assert value == float(f"{value:.5g}")
        assert set(asdict(spectral_shape)) | {"zero_crossing_rate", "tempo", "mfcc"} == set(
            content["units"]
        )


def test_figures(written: tuple[GenreAnalysis, Path]) -> None:
    _, out = written
    assert {path.name for path in out.iterdir()} == {
        "genres.json",
        "genres-spectrograms.png",
        "genres-features.png",
    }
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 20_000


def test_it_gives_the_same_files_again(
    written: tuple[GenreAnalysis, Path], library: Path, tmp_path: Path
) -> None:
    write_analysis(analyze_genres(genre_folders(library)), tmp_path)
    for path in written[1].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_real_music(corpora: Path, tmp_path: Path) -> None:
    """Leakage makes every recording look broader, flatter and of less contrast."""
    with tarfile.open(corpora / "music.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    analysis = analyze_genres(genre_folders(tmp_path))
    assert not analysis.skipped
    for genre in analysis.genres.values():
        for recording in genre.recordings:
            spectral_shape = recording.spectral_features.spectral_shape
            hann, hamming, rectangular = (spectral_shape[window] for window in WINDOWS)
            assert hann.bandwidth < hamming.bandwidth < rectangular.bandwidth
            assert hann.flatness < hamming.flatness < rectangular.flatness
            assert hann.contrast > hamming.contrast > rectangular.contrast


def test_no_genres() -> None:
    with pytest.raises(CorpusError, match="no genres given"):
        analyze_genres({})


def test_a_genre_without_files() -> None:
    with pytest.raises(CorpusError, match="the genre 'polka' has no files"):
        analyze_genres({"polka": []})


def test_a_missing_file_is_named_before_anything_is_read(library: Path) -> None:
    missing = library / "tones" / "missing.wav"
    files = {"noise": [library / "noise" / "broken.wav"], "tones": [missing]}
    with pytest.raises(CorpusError, match="no such file") as error:
        analyze_genres(files)  # reading the noise would have been another error
    assert str(missing) in str(error.value)


def test_a_genre_that_cannot_be_read_at_all(library: Path) -> None:
    broken = library / "noise" / "broken.wav"
    with pytest.raises(CorpusError, match="none of the 1 files of the genre 'noise'") as error:
        analyze_genres({"tones": [library / "tones" / "b.wav"], "noise": [broken]})
    assert str(broken) in str(error.value)


def test_genre_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("rock/b.MP3", "rock/a.ogg", "rock/notes.txt", "jazz/c.wav", "docs/d.txt", "e.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with caplog.at_level(logging.WARNING):
        genres = genre_folders(tmp_path)
    rock = tmp_path / "rock"
    assert list(genres.items()) == [
        ("jazz", [tmp_path / "jazz" / "c.wav"]),
        ("rock", [rock / "a.ogg", rock / "b.MP3"]),
    ]
    assert str(tmp_path / "docs") in caplog.text


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_root_without_recordings(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="no recordings found") as error:
        genre_folders(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
