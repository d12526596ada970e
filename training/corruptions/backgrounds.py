"""Recordings to put in the background of others."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from app.decoding.errors import AudioError
from earshot.audio_formats import AUDIO_SUFFIXES, is_recording
from training.waveforms import READER


class CorruptionError(ValueError):
    """A recording cannot be corrupted as asked; the message says what is accepted.

    CorruptionError
    └── BackgroundError
    """


class BackgroundError(CorruptionError):
    """There are no recordings to put in the background; the message says where."""


@dataclass(frozen=True)
class BackgroundRecording:
    """A recording that is read when it is drawn."""

    name: str
    """of its file"""
    group: str
    """speaker or source"""
    read: Callable[[], NDArray[np.float32]]
    """returns mono samples in -1..1, shape `[samples]`, not silent"""


class BackgroundPool:
    """Recordings of which some are drawn for each background."""

    def __init__(self, recordings: Sequence[BackgroundRecording]) -> None:
        """Keep the recordings; raise BackgroundError when there are none."""
        if not recordings:
            raise BackgroundError("there are no recordings to put in the background")
        self._recordings = recordings

    @property
    def fingerprint(self) -> str:
        """Return a hash of the names of all recordings, in their order."""
        names = "\n".join(recording.name for recording in self._recordings)
        return hashlib.sha256(names.encode()).hexdigest()

    def draw(
        self, count: int, rng: Generator, excluded: str | None = None
    ) -> list[NDArray[np.float32]]:
        """Read `count` recordings, or all where there are fewer, none of the group `excluded`.

        Raises BackgroundError when all are of that group.
        """
        drawn: list[NDArray[np.float32]] = []
        for place in rng.permutation(len(self._recordings)):
            recording = self._recordings[place]
            if recording.group != excluded:
                drawn.append(recording.read())
            if len(drawn) == count:
                break
        if not drawn:
            raise BackgroundError(f"all recordings for the background are of {excluded}")
        return drawn


def pool_of_folder(folder: Path, sample_rate: int) -> BackgroundPool:
    """Decode the recordings below a folder, as they are named in their order.

    Raises BackgroundError when the folder holds none, or one that cannot be decoded or is silent.
    """
    if not folder.is_dir():
        raise BackgroundError(f"{folder} is no folder")
    paths = sorted(path for path in folder.rglob("*") if is_recording(path.relative_to(folder)))
    if not paths:
        raise BackgroundError(
            f"{folder} holds no recordings (looked for {', '.join(sorted(AUDIO_SUFFIXES))})"
        )
    return BackgroundPool([_read_file(path, sample_rate) for path in paths])


def _read_file(path: Path, sample_rate: int) -> BackgroundRecording:
    try:
        samples = READER.read(path.read_bytes(), sample_rate=sample_rate).samples
    except (AudioError, OSError) as error:
        raise BackgroundError(f"{path}: {error}") from error
    return BackgroundRecording(path.name, str(path), lambda: samples)
