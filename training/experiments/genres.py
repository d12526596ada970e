"""What genres of music look like, and what the analysis window changes of that.

Spectrograms and characteristics are those that the service shows, through every window.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from rich.progress import track

from app.audio.log_mel import power_to_db
from app.audio.mel import mel_band_edges, hz_to_mel, mel_filterbank, mel_to_hz
from app.audio.stft import power_spectrogram
from app.audio.stft import WINDOWS, WindowName
from app.decoding.errors import AudioError, EmptyAudioError
from app.decoding.formats import SUFFIXES
from app.decoding.recording import read_recording
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
from training.corpora.clip import CorpusError

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
_LONGEST_SECONDS = 600.0
_FLOOR = 1e-10
_TICKS_HZ = (0, 500, 1000, 2000, 4000, 8000)


_SPECTRAL = tuple(field.name for field in fields(SpectralShape))


@dataclass(frozen=True)
class SpectralFeatures:
    """What was measured of a recording, or its mean or standard deviation over a genre's."""

    spectral_shape: dict[WindowName, SpectralShape]
    """what depends on the analysis window"""
    zero_crossing_rate: float
    """changes of sign a second"""
    tempo: float
    """beats a minute; the estimate favours 120, and means nothing where there is no beat"""
    mfcc: tuple[float, ...]
    """the first 13 mel-frequency cepstral coefficients through the Hann window, dB, means over
    all frames"""


@dataclass(frozen=True)
class AnalysedRecording:
    """One recording and its characteristics."""

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
    """The recordings of one genre, and what they have in common."""

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
    """what could not be read, and why"""

    def to_json(self) -> str:
        """All but the spectrograms, as JSON: sorted keys, five significant digits, no NaN."""
        content = asdict(self)
        for genre in content["genres"].values():
            del genre["spectrograms"]
        content["analysed"] = sum(len(genre.recordings) for genre in self.genres.values())
        content["units"] = UNITS
        content["stft"] = {"sample_rate": SAMPLE_RATE, "n_fft": N_FFT, "hop_length": HOP_LENGTH}
        return json.dumps(_rounded(content), indent=2, sort_keys=True, allow_nan=False) + "\n"

    def plot(self, folder: Path) -> tuple[Path, Path]:
        """Draw `genres-spectrograms.png` and `genres-characteristics.png` in `folder`.

        Returns their paths. Raises OSError when they cannot be written.
        """
        paths = folder / "genres-spectrograms.png", folder / "genres-characteristics.png"
        for path, draw in zip(paths, (_draw_spectrograms, _draw_characteristics), strict=True):
            draw(self.genres).savefig(path)
        return paths


def genre_folders(root: Path) -> dict[str, list[Path]]:
    """Find the recordings `root/<genre>/<file>`, by the suffix of a format that is accepted.

    Returns genres and files sorted by name. A folder without recordings is reported and left
    out. Raises CorpusError when there are no recordings at all.
    """
    genres = {}
    for folder in sorted(path for path in root.glob("[!.]*") if path.is_dir()):
        files = sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() in SUFFIXES)
        if files:
            genres[folder.name] = files
        else:
            log.warning("left out %s: no recordings in it", folder)
    if not genres:
        raise CorpusError(
            f"{root}: no recordings found (looked for GENRE/FILE with one of the suffixes "
            f"{', '.join(SUFFIXES)})"
        )
    return genres


def analyze_genres(
    files: Mapping[str, Sequence[Path | str]], out: Path | None = None
) -> GenreAnalysis:
    """Measure and draw the recordings of genres of music.

    A recording that cannot be read is reported and skipped.

    Args:
        files: recordings of each genre, in any format that the service accepts, at most
            600 s long. Sound is mixed to one channel and resampled to 22.05 kHz.
        out: folder to write `genres.json` and the figures of `GenreAnalysis.plot` into.

    Raises:
        CorpusError: there is no genre, a genre without files or a file that does not exist
            (before anything is read), or a genre of which no file can be read.
        OSError: `out` cannot be written.
    """
    _check(files)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    recordings: dict[str, list[AnalysedRecording]] = {genre: [] for genre in files}
    spectrograms: dict[str, dict[WindowName, NDArray[np.float32]]] = {}
    skipped = []
    jobs = [(genre, Path(file)) for genre in files for file in files[genre]]
    for genre, file in track(jobs, description="analysing"):
        try:
            recording, pictures = _analyse(file)
        except (AudioError, OSError) as error:
            log.warning("skipped %s: %s", file, error)
            skipped.append(Skipped(genre, str(file), str(error)))
            _refuse_unreadable(genre, skipped, len(files[genre]))
        else:
            recordings[genre].append(recording)
            spectrograms.setdefault(genre, pictures)
    genres = {name: _genre(recordings[name], spectrograms[name]) for name in files}
    analysis = GenreAnalysis(genres, tuple(skipped))
    if out is not None:
        (out / "genres.json").write_text(analysis.to_json(), encoding="utf-8")
        analysis.plot(out)
    return analysis


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
    samples = read_recording(
        file.read_bytes(), sample_rate=SAMPLE_RATE, max_seconds=_LONGEST_SECONDS
    ).samples
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
    pictures = {window: _picture(power) for window, power in powers.items()}
    return AnalysedRecording(str(file), seconds, spectral_features), pictures


def _picture(power: NDArray[np.float32]) -> NDArray[np.float32]:
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
    """Apply `statistic` to each characteristic over recordings."""

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


def _draw_spectrograms(genres: Mapping[str, Genre]) -> Figure:
    figure = Figure(figsize=(13, 1 + 2.3 * len(genres)), layout="constrained")
    grid = figure.subplots(len(genres), len(WINDOWS), sharex=True, sharey=True, squeeze=False)
    # The filters' outermost edges are the centre of no band.
    centres = mel_band_edges(MEL_BANDS, 0.0, SAMPLE_RATE / 2)[1:-1]
    for row, (name, genre) in zip(grid, genres.items(), strict=True):
        for axes, window in zip(row, WINDOWS, strict=True):
            db = genre.spectrograms[window]
            times = np.arange(db.shape[1]) * HOP_LENGTH / SAMPLE_RATE
            image = axes.pcolormesh(times, centres, db, vmin=-TOP_DB, vmax=0, cmap="magma")
            axes.set_yscale("function", functions=(hz_to_mel, mel_to_hz))
            axes.set(title=f"{name}, {window}", yticks=_TICKS_HZ)
            axes.set(xlabel="Time (s)", ylabel="Frequency (Hz)")
            axes.label_outer()
    figure.colorbar(image, ax=grid, format="%d dB", pad=0.01, aspect=40)
    return figure


def _draw_characteristics(genres: Mapping[str, Genre]) -> Figure:
    figure = Figure(figsize=(17, 8), layout="constrained")
    panels = figure.subplots(2, 4).ravel()
    for axes, (name, unit) in zip(panels, UNITS.items(), strict=True):
        axes.set_title(f"{name.replace('_', ' ')} ({unit})")
        axes.grid(axis="y", alpha=0.3)
        if name == "mfcc":
            _draw_mfcc(axes, genres)
        else:
            _draw_dots(axes, genres, name)
    handles, labels = panels[0].get_legend_handles_labels()
    title = "dot: a recording; bar: mean of the genre; colour: analysis window"
    figure.legend(handles, labels, loc="outside lower center", ncols=len(WINDOWS), title=title)
    return figure


def _draw_dots(axes: Axes, genres: Mapping[str, Genre], name: str) -> None:
    windowed = name in _SPECTRAL
    shifts = (-0.25, 0.0, 0.25) if windowed else (0.0,)
    for number, (window, shift) in enumerate(zip(WINDOWS, shifts, strict=False)):
        colour = f"C{number}" if windowed else "dimgrey"
        places = np.arange(len(genres)) + shift
        for place, genre in zip(places, genres.values(), strict=True):
            values = [_value(each.spectral_features, name, window) for each in genre.recordings]
            axes.plot([place] * len(values), values, "o", color=colour, alpha=0.5)
        means = [_value(genre.mean, name, window) for genre in genres.values()]
        axes.hlines(means, places - 0.1, places + 0.1, color=colour, linewidth=3, label=window)
    axes.set_xticks(range(len(genres)), list(genres), rotation=45 if len(genres) > 5 else 0)


def _value(of: SpectralFeatures, name: str, window: WindowName) -> float:
    value: float = getattr(of.spectral_shape[window] if name in _SPECTRAL else of, name)
    return value


def _draw_mfcc(axes: Axes, genres: Mapping[str, Genre]) -> None:
    # The first coefficient is the level, tens of times as large as the others.
    numbers = range(2, MFCC_COUNT + 1)
    colours = colormaps["plasma"](np.linspace(0, 0.85, len(genres)))
    for colour, (name, genre) in zip(colours, genres.items(), strict=True):
        axes.plot(numbers, genre.mean.mfcc[1:], color=colour, label=name)
        for recording in genre.recordings:
            mfcc = recording.spectral_features.mfcc[1:]
            axes.plot(numbers, mfcc, ".", color=colour, alpha=0.5)
    axes.set(xlabel="coefficient (the first, the level, is not shown)", xticks=numbers[::2])
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
