"""`earshot evaluate --corruptions`: measure a checkpoint on corrupted held-out recordings."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress, TaskID

from app.checkpoints.card import Card
from app.checkpoints.store import Checkpoint
from app.inference.engine import Engine, OpenVinoEngine
from earshot.schemas import CorruptionScores, Robustness
from training import metrics
from training.clip_outputs import compute_outputs, map_in_threads
from training.corpora import LabeledRecording
from training.corruptions import CORRUPTIONS, SEVERITIES, CorruptionKind
from training.corruptions.apply import corrupt
from training.corruptions.backgrounds import BackgroundPool
from training.corruptions.severities import TEST_EFFECTS
from training.waveforms import Waveforms

log = logging.getLogger(__name__)

QUICK_RECORDINGS = 100
"""enough for a first look within two minutes"""
_PLAN = "plan.json"
_STREAMS = 2

Cell = tuple[CorruptionKind, int] | None
"""kind and severity; None: clean"""


@dataclass(frozen=True)
class CellPredictions:
    """The predictions for all recordings under one corruption."""

    probabilities: NDArray[np.float64]
    """calibrated, `[recordings, labels]`"""
    rejected: NDArray[np.bool_]
    """`[recordings]`"""


@dataclass(frozen=True)
class RobustnessTest:
    """The recordings to corrupt, and the sounds to corrupt them with."""

    recordings: Sequence[LabeledRecording]
    """held out, in any order"""
    waveforms: Waveforms
    """of the recordings, at the checkpoint's sample rate"""
    backgrounds: Mapping[CorruptionKind, BackgroundPool]
    """of each kind in `training.corruptions.BACKGROUND_KINDS`"""
    seed: int = 0

    def measure(self, checkpoint: Checkpoint, folder: Path) -> Robustness:
        """Classify every recording clean and under each corruption.

        Each finished cell is kept in `folder`. A run that was interrupted goes on there, unless
        something has changed that the predictions depend on.

        Raises OSError when `folder` cannot be written.
        """
        self._prepare(checkpoint, folder)
        card = checkpoint.card
        cells: list[Cell] = [
            None,
            *((kind, each) for kind in CORRUPTIONS for each in SEVERITIES),
        ]
        engine: Engine | None = None
        scores = []
        with Progress() as progress:
            bar = progress.add_task(str(checkpoint.key), total=len(cells) * len(self.recordings))
            for cell in cells:
                path = folder / f"{_name(cell)}.npz"
                if not path.exists():
                    engine = engine or OpenVinoEngine(checkpoint.model, streams=_STREAMS)
                    progress.update(bar, description=f"{checkpoint.key} {_name(cell)}")
                    _save(path, self._predict(engine, card, cell, progress, bar))
                else:
                    progress.advance(bar, len(self.recordings))
                scores.append(self._score(_load(path), card))
        clean, corrupted = scores[0], scores[1:]
        rows = iter(corrupted)
        return Robustness(
            recordings=len(self.recordings),
            seed=self.seed,
            clean=clean,
            by_kind={kind: tuple(next(rows) for _ in SEVERITIES) for kind in CORRUPTIONS},
            relative_accuracy=_relative([each.accuracy for each in corrupted], clean.accuracy),
            relative_uar=_relative([each.uar for each in corrupted], clean.uar),
        )

    def _predict(
        self, engine: Engine, card: Card, cell: Cell, progress: Progress, bar: TaskID
    ) -> CellPredictions:
        def predict(recording: LabeledRecording) -> tuple[NDArray[np.float32], bool]:
            samples = self.waveforms[recording]
            if cell is not None:
                kind, severity = cell
                samples = corrupt(
                    samples,
                    card.input.sample_rate,
                    kind,
                    severity,
                    name=recording.path.name,
                    seed=self.seed,
                    backgrounds=self.backgrounds.get(kind),
                    group=recording.group,
                )
            outputs = compute_outputs(engine, samples, card)
            return outputs.probabilities(card), outputs.is_rejected(card)

        predictions = list(_advancing(map_in_threads(predict, self.recordings), progress, bar))
        probabilities, rejected = zip(*predictions, strict=True)
        return CellPredictions(np.array(probabilities, np.float64), np.array(rejected))

    def _score(self, predictions: CellPredictions, card: Card) -> CorruptionScores:
        y_true = np.array([card.labels.index(recording.label) for recording in self.recordings])
        y_pred = predictions.probabilities.argmax(axis=1)
        scores = metrics.score(y_true, y_pred, card.labels, groups=1)
        error = metrics.expected_calibration_error(predictions.probabilities, y_true)
        return CorruptionScores(
            accuracy=scores.accuracy,
            uar=scores.uar,
            expected_calibration_error=round(error, 4),
            rejection_rate=round(float(predictions.rejected.mean()), 4),
        )

    def _prepare(self, checkpoint: Checkpoint, folder: Path) -> None:
        """Make `folder` ready for the cells of this very test."""
        plan = json.dumps(self._plan(checkpoint), indent=1)
        path = folder / _PLAN
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_text("utf-8") == plan:
            log.info("going on in %s", folder)
            return
        for cell in folder.glob("*.npz"):
            cell.unlink()
        path.write_text(plan, encoding="utf-8")

    def _plan(self, checkpoint: Checkpoint) -> dict[str, object]:
        """Return everything that the predictions depend on."""
        card = checkpoint.card
        names = "\n".join(f"{each.corpus}/{each.path.name}" for each in self.recordings)
        return {
            "files": card.files,
            "temperature": card.temperature,
            "ood": card.ood and card.ood.model_dump(mode="json"),
            "recordings": hashlib.sha256(names.encode()).hexdigest(),
            "backgrounds": {kind: pool.fingerprint for kind, pool in self.backgrounds.items()},
            "effects": {kind: repr(effects) for kind, effects in TEST_EFFECTS.items()},
            "seed": self.seed,
        }


def sample_evenly(recordings: Sequence[LabeledRecording], count: int) -> list[LabeledRecording]:
    """Return `count` recordings with labels, corpora and groups in proportion, or all of fewer."""
    if len(recordings) <= count:
        return list(recordings)
    ordered = sorted(recordings, key=lambda each: (each.label, each.corpus, each.group, each.path))
    return [ordered[int((i + 0.5) * len(ordered) / count)] for i in range(count)]


def _name(cell: Cell) -> str:
    return "clean" if cell is None else f"{cell[0]}-{cell[1]}"


def _advancing(
    predictions: Iterator[tuple[NDArray[np.float32], bool]], progress: Progress, bar: TaskID
) -> Iterator[tuple[NDArray[np.float32], bool]]:
    for prediction in predictions:
        yield prediction
        progress.advance(bar)


def _relative(scores: Sequence[float], clean: float) -> float:
    return round(float(np.mean(scores)) / clean, 4) if clean else 0.0


def _save(path: Path, predictions: CellPredictions) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        np.savez(file, probabilities=predictions.probabilities, rejected=predictions.rejected)
    temporary.replace(path)


def _load(path: Path) -> CellPredictions:
    with np.load(path) as arrays:
        return CellPredictions(arrays["probabilities"], arrays["rejected"])
