"""Sounds made by arithmetic, in the layouts of the corpora, for tests that must not need any."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000

Sound = Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]


def _siren(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    sweep = 900 + 400 * np.sin(2 * np.pi * rng.uniform(0.8, 1.2) * t)
    return np.sin(2 * np.pi * np.cumsum(sweep) / RATE)


def _drilling(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.standard_normal(t.size)


def _dog_bark(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    bursts = (t * rng.uniform(1.5, 2.5)) % 1 < 0.2
    return bursts * rng.standard_normal(t.size) + 1e-3 * rng.standard_normal(t.size)


def _car_horn(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    pitch = rng.uniform(380, 440)
    return np.sign(np.sin(2 * np.pi * pitch * t)) + np.sign(np.sin(2 * np.pi * 1.25 * pitch * t))


SOUNDS: dict[str, Sound] = {
    "siren": _siren,
    "drilling": _drilling,
    "dog_bark": _dog_bark,
    "car_horn": _car_horn,
}


def _rumble(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return np.convolve(rng.standard_normal(t.size), np.ones(64) / 64, "same")


def _whistle(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * rng.uniform(3_000, 3_300) * t)


FOREIGN: dict[str, Sound] = {"airplane": _rumble, "can_opening": _whistle, "cat": _whistle}
"""by categories of ESC-50; of these in their order, the second is measured on"""


def make(label: str, seed: int, seconds: float = 2.0) -> NDArray[np.float32]:
    """A sound of the kind `label`, peak 0.5, at 16 kHz."""
    rng = np.random.default_rng(seed)
    samples = (SOUNDS | FOREIGN)[label](np.arange(int(seconds * RATE)) / RATE, rng)
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def tone(
    hertz: float, seconds: float = 1.0, rate: int = RATE, amplitude: float = 0.5
) -> NDArray[np.float32]:
    """A sine of `amplitude`, starting at phase 0."""
    t = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def encode(
    samples: NDArray[np.float32],
    rate: int = RATE,
    container: str = "WAV",
    subtype: str | None = None,
) -> bytes:
    """The bytes of an audio file with `samples`, `[frames]` or `[frames, channels]`."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def write_urbansound8k(root: Path, folds: int, clips_per_fold: int) -> None:
    """A small UrbanSound8K below `root`: each fold has sources of its own, all sounds."""
    rows: list[dict[str, object]] = []
    for fold in range(1, folds + 1):
        folder = root / "UrbanSound8K" / "audio" / f"fold{fold}"
        folder.mkdir(parents=True)
        for number in range(clips_per_fold):
            label = list(SOUNDS)[number % len(SOUNDS)]
            source = 1000 * fold + number
            name = f"{source}-0-0-0.wav"
            soundfile.write(folder / name, make(label, seed=source), RATE)
            rows.append({"slice_file_name": name, "fsID": source, "fold": fold, "class": label})
    table = root / "UrbanSound8K" / "metadata" / "UrbanSound8K.csv"
    table.parent.mkdir()
    _write_table(table, rows)


def write_esc50(root: Path, clips: int) -> None:
    """A small ESC-50 below `root`: `clips` of each of the `FOREIGN` sounds."""
    folder = root / "ESC-50-master" / "audio"
    folder.mkdir(parents=True)
    rows: list[dict[str, object]] = []
    for number in range(clips * len(FOREIGN)):
        label = list(FOREIGN)[number % len(FOREIGN)]
        source = 90_000 + number
        name = f"1-{source}-A-0.wav"
        soundfile.write(folder / name, make(label, seed=source), RATE)
        rows.append({"filename": name, "fold": 1, "category": label, "src_file": source})
    table = root / "ESC-50-master" / "meta" / "esc50.csv"
    table.parent.mkdir()
    _write_table(table, rows)


def _write_table(table: Path, rows: list[dict[str, object]]) -> None:
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
