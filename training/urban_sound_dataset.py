"""UrbanSound8K as a dataset of PyTorch, for people who bring their own loop."""

import math
from collections.abc import Collection
from os import PathLike
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from app.audio.stft import WINDOWS, WindowName
from app.decoding.errors import AudioError
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from training.corpora import CorpusError
from training.corpora.csv_tables import URBANSOUND8K
from training.dataset import first_clip
from training.recipes import log_mel_config, recipe_for
from training.tasks import TASKS

_READER = RecordingReader(AudioLimits(max_seconds=math.inf))


class UrbanSoundDataset(Dataset[tuple[Tensor, int]]):
    """The first clip of each recording as the network reads it, with the index of its label.

    An item is (float32 spectrogram `[1, mels, frames]`, index into `labels`). The spectrogram
    is exactly what the service computes of the same file. Nothing is cached: recordings are
    decoded when they are asked for, in the workers of a DataLoader where there are any.

    `recordings` are the rows of the table in its order, `folds` the official fold of each, and
    `labels` the ten classes in the order of UrbanSound8K's classID. To hold out a fold:

        train = UrbanSoundDataset(table, audio, "hann", folds=range(2, 11))
        test = UrbanSoundDataset(table, audio, "hann", folds=[1])
    """

    def __init__(
        self,
        metadata_path: str | PathLike[str],
        dataset_path: str | PathLike[str],
        window_type: WindowName,
        *,
        folds: Collection[str | int] | None = None,
    ) -> None:
        """Read the table and see that its files exist; no recording is opened.

        Args:
            metadata_path: `UrbanSound8K.csv`, or a table with the same columns.
            dataset_path: the folder with `fold1` to `fold10`, officially `audio`.
            window_type: analysis window, `hann`, `hamming` or `rectangular`.
            folds: the folds to keep; None keeps all.

        Raises:
            ValueError: unknown window.
            CorpusError: the table or a row is wrong, a file is missing, or a fold is empty.
        """
        if window_type not in WINDOWS:
            raise ValueError(f"unknown window {window_type!r}; accepted: {', '.join(WINDOWS)}")
        wanted = None if folds is None else [str(fold) for fold in folds]
        self.labels = TASKS["urban-sound"].labels
        self.input = log_mel_config(recipe_for("urban-sound"), window_type)
        self.recordings = URBANSOUND8K.read_table(
            Path(metadata_path), Path(dataset_path), folds=wanted
        )
        self.folds = [recording.fold for recording in self.recordings]
        absent = [fold for fold in wanted or () if fold not in self.folds]
        if absent or not self.recordings:
            of_folds = f" of fold {', '.join(absent)}" if absent else ""
            raise CorpusError(f"{metadata_path}: no recordings{of_folds}")

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Decode recording `index`; raises AudioError or OSError, naming the file."""
        path, label = self.recordings[index].path, self.recordings[index].label
        try:
            recording = _READER.read(path.read_bytes(), sample_rate=self.input.sample_rate)
        except AudioError as error:
            raise type(error)(f"{path}: {error}") from error
        return first_clip(recording.samples, self.input), self.labels.index(label)
