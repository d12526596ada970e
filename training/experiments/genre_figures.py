"""The figures of genres of music: their spectrograms and their features."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.audio.mel import hz_to_mel, mel_band_edges, mel_to_hz
from app.audio.stft import WINDOWS, WindowName
from app.music.spectral_features import MFCC_COUNT, SpectralShape
from app.rendering.spectrogram import HOP_LENGTH, SAMPLE_RATE
from training.experiments.genre_analysis import (
    MEL_BANDS,
    TOP_DB,
    UNITS,
    Genre,
    GenreAnalysis,
    SpectralFeatures,
)

_TICKS_HZ = (0, 500, 1000, 2000, 4000, 8000)
_SPECTRAL = tuple(field.name for field in fields(SpectralShape))


def write_analysis(analysis: GenreAnalysis, folder: Path) -> None:
    """Write `genres.json`, `genres-spectrograms.png` and `genres-features.png` into `folder`.

    Raises OSError when they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genres.json").write_text(analysis.to_json(), encoding="utf-8")
    _draw_spectrograms(analysis.genres).savefig(folder / "genres-spectrograms.png")
    _draw_features(analysis.genres).savefig(folder / "genres-features.png")


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


def _draw_features(genres: Mapping[str, Genre]) -> Figure:
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
    offsets = (-0.25, 0.0, 0.25) if windowed else (0.0,)
    for number, (window, offset) in enumerate(zip(WINDOWS, offsets, strict=False)):
        colour = f"C{number}" if windowed else "dimgrey"
        places = np.arange(len(genres)) + offset
        for place, genre in zip(places, genres.values(), strict=True):
            values = [_value(each.spectral_features, name, window) for each in genre.recordings]
            axes.plot([place] * len(values), values, "o", color=colour, alpha=0.5)
        means = [_value(genre.mean, name, window) for genre in genres.values()]
        axes.hlines(means, places - 0.1, places + 0.1, color=colour, linewidth=3, label=window)
    axes.set_xticks(range(len(genres)), list(genres), rotation=45 if len(genres) > 5 else 0)


def _value(features: SpectralFeatures, name: str, window: WindowName) -> float:
    value: float = getattr(features.spectral_shape[window] if name in _SPECTRAL else features, name)
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
