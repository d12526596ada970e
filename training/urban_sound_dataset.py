"""UrbanSound8K as a dataset of PyTorch, for people who bring their own loop."""

import math
from collections.abc import Collection
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from app.audio.clips import pad_or_repeat
from app.audio.log_mel import log_mel
from app.audio.stft import WINDOWS, WindowName
from training.tasks import LABELS
from app.decoding.errors import AudioError
from app.decoding.recording import read_recording
from training.corpora.clip import CorpusError
from training.corpora.urbansound8k import read_table
from training.recipes import RECIPES, log_mel_config


class UrbanSoundDataset(Dataset[tuple[Tensor, int]]):
    """The first clip of each recording as the network reads it, with the index of its label.

    An item is (float32 spectrogram `[1, mels, frames]`, index into `labels`). The spectrogram
    is exactly what the service computes of the same file. Nothing is cached: recordings are
    decoded when they are asked for, in the workers of a DataLoader where there are any.

    `clips` are the rows of the table in its order, `folds` the official fold of each, and
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
            CorpusError: the table or a row is wrong, a file is missing, or a fold has no clips.
        """
        if window_type not in WINDOWS:
            raise ValueError(f"unknown window {window_type!r}; accepted: {', '.join(WINDOWS)}")
        wanted = None if folds is None else [str(fold) for fold in folds]
        self.labels = LABELS["urban-sound"]
        self.input = log_mel_config(RECIPES["urban-sound"], window_type)
        self.clips = read_table(Path(metadata_path), Path(dataset_path), folds=wanted)
        self.folds = [clip.fold for clip in self.clips]
        absent = [fold for fold in wanted or () if fold not in self.folds]
        if absent or not self.clips:
            what = f" of fold {', '.join(absent)}" if absent else ""
            raise CorpusError(f"{metadata_path}: no clips{what}")

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Decode recording `index`; raises AudioError or OSError, naming the file."""
        clip, config = self.clips[index], self.input
        try:
            recording = read_recording(
                clip.path.read_bytes(),
                sample_rate=config.sample_rate,
                max_seconds=math.inf,
            )
        except AudioError as error:
            raise type(error)(f"{clip.path}: {error}") from error
        length = config.clip_samples
        first = pad_or_repeat(recording.samples, length, config.padding)[:length]
        return torch.from_numpy(log_mel(first, config))[None], self.labels.index(clip.label)
