"""Spectral features of genres of music, through each analysis window.

Spectrograms and features are those that the service shows.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.progress import track

from app.audio.log_mel import power_to_db
from app.audio.mel import mel_filterbank
from app.audio.stft import WINDOWS, WindowName, power_spectrogram
from app.decoding.errors import AudioError, EmptyAudioError
from app.music.spectral_features import (
    SpectralShape,
    mel_spectrogram_db,
    mfcc,
    spectral_shape,
    tempo,
    zero_crossing_rate,
)
from app.rendering.spectrogram import HOP_LENGTH, N_FFT, SAMPLE_RATE
from earshot.audio_formats import AUDIO_SUFFIXES, is_recording
from training.corpora import CorpusError
from training.waveforms import READER

log = logging.getLogger(__name__)

MEL_BANDS = 128
EXCERPT_SECONDS = 5.0
"""length of the spectrograms, from the middle of a recording"""
TOP_DB = 80.0
UNITS = {
    "centroid": "Hz",
    "bandwidth": "Hz",
    "rolloff": "Hz",
    "flatness": "0 to 1",
    "contrast": "dB",
    "zero_crossing_rate": "1/s",
    "tempo": "BPM",
    "mfcc": "dB",
}
_FLOOR = 1e-10


@dataclass(frozen=True)
class SpectralFeatures:
    """Features of a recording, or their mean or standard deviation over a genre."""

    spectral_shape: dict[WindowName, SpectralShape]
    """depends on the analysis window"""
    zero_crossing_rate: float
    """changes of sign a second"""
    tempo: float
    """beats a minute; the estimate favours 120, and means nothing where there is no beat"""
    mfcc: tuple[float, ...]
    """the first 13 mel-frequency cepstral coefficients through the Hann window, dB, means over
    all frames"""


@dataclass(frozen=True)
class AnalysedRecording:
    """One recording and its features."""

    file: str
    seconds: float
    spectral_features: SpectralFeatures


@dataclass(frozen=True)
class Skipped:
    """A recording that could not be read."""

    genre: str
    file: str
    reason: str


@dataclass(frozen=True)
class Genre:
    """The recordings of one genre, and the distribution of their features."""

    recordings: tuple[AnalysedRecording, ...]
    """those that could be read, at least one"""
    mean: SpectralFeatures
    """over the recordings"""
    standard_deviation: SpectralFeatures
    """over the recordings, 0 if there is only one"""
    spectrograms: dict[WindowName, NDArray[np.float32]]
    """five seconds from the middle of the first of `recordings` (all of it if it is shorter):
    mel power in dB, 0 the loudest point of that recording, float32 in -80..0, shape
    `[128, frames]`; frames `HOP_LENGTH / SAMPLE_RATE` s apart, bands evenly spaced in mels from
    0 to `SAMPLE_RATE / 2` Hz"""


@dataclass(frozen=True)
class GenreAnalysis:
    """The result of `analyze_genres`."""

    genres: dict[str, Genre]
    """in the order given"""
    skipped: tuple[Skipped, ...]
    """could not be read"""

    def to_json(self) -> str:
        """Return all but the spectrograms as JSON: sorted keys, five significant digits, no NaN."""
        content = asdict(self)
        for genre in content["genres"].values():
            del genre["spectrograms"]
        content["analysed"] = sum(len(genre.recordings) for genre in self.genres.values())
        content["units"] = UNITS
        content["stft"] = {"sample_rate": SAMPLE_RATE, "n_fft": N_FFT, "hop_length": HOP_LENGTH}
        return json.dumps(_rounded(content), indent=2, sort_keys=True, allow_nan=False) + "\n"


def genre_folders(root: Path) -> dict[str, list[Path]]:
    """Find the recordings `root/<genre>/<file>`, by the suffix of a format that is accepted.

    Returns genres and files sorted by name. A folder without recordings is reported and left
    out. Raises CorpusError when there are no recordings at all.
    """
    genres = {}
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        files = sorted(p for p in folder.iterdir() if is_recording(p.relative_to(root)))
        if files:
            genres[folder.name] = files
        else:
            log.warning("left out %s: no recordings in it", folder)
    if not genres:
        raise CorpusError(
            f"{root}: no recordings found (looked for GENRE/FILE with one of the suffixes "
            f"{', '.join(AUDIO_SUFFIXES)})"
        )
    return genres


def analyze_genres(files: Mapping[str, Sequence[Path | str]]) -> GenreAnalysis:
    """Measure the recordings of genres of music.

    A recording that cannot be read is reported and skipped.

    Args:
        files: recordings of each genre, in any format that the service accepts, at most
            600 s long. Sound is mixed to one channel and resampled to 22.05 kHz.

    Raises:
        CorpusError: there is no genre, a genre without files or a file that does not exist
            (before anything is read), or a genre of which no file can be read.
    """
    _check(files)
    recordings: dict[str, list[AnalysedRecording]] = {genre: [] for genre in files}
    spectrograms: dict[str, dict[WindowName, NDArray[np.float32]]] = {}
    skipped = []
    jobs = [(genre, Path(file)) for genre in files for file in files[genre]]
    for genre, file in track(jobs, description="analysing"):
        try:
            recording, images = _analyse(file)
        except (AudioError, OSError) as error:
            log.warning("skipped %s: %s", file, error)
            skipped.append(Skipped(genre, str(file), str(error)))
            _refuse_unreadable(genre, skipped, len(files[genre]))
        else:
            recordings[genre].append(recording)
            spectrograms.setdefault(genre, images)
    genres = {name: _genre(recordings[name], spectrograms[name]) for name in files}
    return GenreAnalysis(genres, tuple(skipped))


def _check(files: Mapping[str, Sequence[Path | str]]) -> None:
    if not files:
        raise CorpusError("no genres given; expected at least one, with its recordings")
    for genre, of_genre in files.items():
        if not of_genre:
            raise CorpusError(f"the genre {genre!r} has no files")
        for file in of_genre:
            if not Path(file).is_file():
                raise CorpusError(f"{file}: no such file (of the genre {genre!r})")


def _refuse_unreadable(genre: str, skipped: Sequence[Skipped], count: int) -> None:
    reasons = [f"{each.file}: {each.reason}" for each in skipped if each.genre == genre]
    if len(reasons) == count:
        raise CorpusError(
            f"none of the {count} files of the genre {genre!r} can be read; {reasons[0]}"
        )


def _analyse(file: Path) -> tuple[AnalysedRecording, dict[WindowName, NDArray[np.float32]]]:
    samples = READER.read(file.read_bytes(), sample_rate=SAMPLE_RATE).samples
    seconds = samples.size / SAMPLE_RATE
    if samples.size < N_FFT:
        raise EmptyAudioError(
            f"the recording is too short: {seconds:.3f} s; "
            f"at least {N_FFT / SAMPLE_RATE:.3f} s are needed"
        )
    powers = {
        window: power_spectrogram(samples, n_fft=N_FFT, hop_length=HOP_LENGTH, window=window)
        for window in WINDOWS
    }
    mel_db = mel_spectrogram_db(powers["hann"])
    spectral_features = SpectralFeatures(
        spectral_shape={window: spectral_shape(power) for window, power in powers.items()},
        zero_crossing_rate=zero_crossing_rate(samples),
        tempo=tempo(mel_db),
        mfcc=tuple(mfcc(mel_db).tolist()),
    )
    images = {window: _excerpt(power) for window, power in powers.items()}
    return AnalysedRecording(str(file), seconds, spectral_features), images


def _excerpt(power: NDArray[np.float32]) -> NDArray[np.float32]:
    filters = mel_filterbank(SAMPLE_RATE, N_FFT, MEL_BANDS, 0.0, SAMPLE_RATE / 2)
    db = power_to_db(filters @ power, amin=_FLOOR, top_db=TOP_DB)
    db -= db.max()
    frames = round(EXCERPT_SECONDS * SAMPLE_RATE / HOP_LENGTH)
    start = max(0, (db.shape[1] - frames) // 2)
    return db[:, start : start + frames].copy()


def _genre(
    recordings: Sequence[AnalysedRecording], spectrograms: dict[WindowName, NDArray[np.float32]]
) -> Genre:
    values = [recording.spectral_features for recording in recordings]
    return Genre(tuple(recordings), _pooled(values, np.mean), _pooled(values, np.std), spectrograms)


def _pooled(
    values: Sequence[SpectralFeatures], statistic: Callable[..., ArrayLike]
) -> SpectralFeatures:
    """Return `statistic` of each feature over recordings."""

    def pool(rows: Sequence[Sequence[float]]) -> list[float]:
        pooled: list[float] = np.asarray(statistic(np.array(rows), axis=0)).tolist()
        return pooled

    zero_crossing_rate, tempo = pool([(each.zero_crossing_rate, each.tempo) for each in values])
    return SpectralFeatures(
        spectral_shape={
            window: SpectralShape(*pool([astuple(each.spectral_shape[window]) for each in values]))
            for window in WINDOWS
        },
        zero_crossing_rate=zero_crossing_rate,
        tempo=tempo,
        mfcc=tuple(pool([each.mfcc for each in values])),
    )


def _rounded(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _rounded(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rounded(value) for value in tree]
    return float(f"{tree:.5g}") if isinstance(tree, float) else tree
