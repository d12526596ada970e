"""Views of training recordings and a teacher's predictions, computed once and kept.

A student goes through its recordings some dozens of times. To decode, corrupt and transform each
time, and to ask a teacher of a hundred times its size, would take a hundred times as long as the
student itself.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from app.audio.clips import pad_or_repeat
from app.audio.log_mel import LogMelConfig, mel_power, power_to_db
from training.corpora import LabeledRecording
from training.corruptions.augmentation import Backgrounds
from training.dataset import AugmentedClips
from training.recipes import Recipe
from training.runs import RunError
from training.waveforms import Waveforms

_BLOCK = 64
"""recordings between two writes: what an interruption costs"""


class Views:
    """Mel power in dB of each recording's first clip and of random, corrupted crops of it."""

    def __init__(self, folder: Path, recordings: int, views: int, config: LogMelConfig) -> None:
        """Open the views in `folder`, or make room for them.

        Args:
            folder: belongs to one list of recordings and one recipe.
            recordings: how many there are.
            views: of each; the first is its first clip as it is.
            config: of the spectrograms.

        Raises RunError when the folder holds views of another size.
        """
        self._shape = (recordings, views, config.n_mels, config.frames)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "views.f16"
        size = 2 * int(np.prod(self._shape))
        if path.exists() and path.stat().st_size != size:
            raise RunError(f"{path} is of other recordings: remove {folder}, or name another")
        self._decibels: np.memmap[tuple[int, int, int, int], np.dtype[np.float16]] = np.memmap(
            path, np.float16, "r+" if path.exists() else "w+", shape=self._shape
        )
        self._done = folder / "done"

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def count(self) -> int:
        """Return how many views each recording has."""
        return self._shape[1]

    def decibels(self, recording: int, view: int) -> NDArray[np.float32]:
        """Return a spectrogram in dB, `[n_mels, frames]`."""
        decibels: NDArray[np.float32] = self._decibels[recording, view].astype(np.float32)
        return decibels

    def fill(
        self,
        recordings: Sequence[LabeledRecording],
        waveforms: Waveforms,
        config: LogMelConfig,
        recipe: Recipe,
        backgrounds: Backgrounds | None,
        seed: int,
    ) -> None:
        """Compute all views, or those that are missing.

        Args:
            recordings: in the order of the views.
            waveforms: of the recordings.
            config: of the spectrograms.
            recipe: gives the range of the speed and the probability of a corruption.
            backgrounds: for corruptions; see `AugmentedClips`.
            seed: of everything random.
        """
        # Mixtures are made of views, when they are trained on.
        alone = replace(recipe, mixup_probability=0.0, stretch_range=0.0)
        crops = AugmentedClips(recordings, waveforms, [config], alone, backgrounds=backgrounds)
        first = int(self._done.read_text("utf-8")) if self._done.exists() else 0

        def fill_one(index: int) -> None:
            samples = waveforms[recordings[index]]
            length = config.clip_samples
            clip = pad_or_repeat(samples, length, config.padding)[:length]
            self._decibels[index, 0] = _decibels(clip, config)
            for view in range(1, self.count):
                rng = np.random.default_rng((seed, index, view))
                self._decibels[index, view] = _decibels(crops.mixed_crop(index, rng)[0], config)

        starts = range(first, len(recordings), _BLOCK)
        # Codecs are programs of their own, which a thread waits for.
        with ThreadPoolExecutor(2 * torch.get_num_threads() + 2) as pool:
            for start in track(starts, description="views"):
                end = min(start + _BLOCK, len(recordings))
                list(pool.map(fill_one, range(start, end)))
                self._decibels.flush()
                self._done.write_text(str(end), encoding="utf-8")


def ask_all(
    ask: Callable[[NDArray[np.float32], str], NDArray[np.float32]],
    recordings: Sequence[LabeledRecording],
    waveforms: Waveforms,
    path: Path,
) -> NDArray[np.float32]:
    """Return what a teacher makes of each recording as it is, `[recordings, values]`.

    Args:
        ask: gives the values of a recording's samples and group, such as
            `SoftLabelTeacher.predict_proba`.
        recordings: to ask of.
        waveforms: of the recordings.
        path: file that the values are kept in; what it holds is not asked again.
    """
    kept = np.load(path) if path.exists() else None
    rows = [] if kept is None else list(kept)
    for index in track(range(len(rows), len(recordings)), description="teacher"):
        recording = recordings[index]
        rows.append(ask(waveforms[recording], recording.group))
        if (index + 1) % _BLOCK == 0 or index + 1 == len(recordings):
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.save(file, np.stack(rows))
            partial.replace(path)
    values: NDArray[np.float32] = np.stack(rows).astype(np.float32)
    return values


def _decibels(samples: NDArray[np.float32], config: LogMelConfig) -> NDArray[np.float32]:
    """Return mel power in dB, without the limits that depend on the whole clip."""
    return power_to_db(mel_power(samples, config), amin=config.amin, top_db=math.inf)
