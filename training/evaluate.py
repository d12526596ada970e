"""`earshot evaluate`: what a checkpoint answers on clips that it was not trained on.

The only writer of a card's metrics and temperature.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.audio.frontend import FrontEnd
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.errors import CheckpointError
from app.checkpoints.metrics import Metrics, Scores
from app.inference.engine import OpenVinoEngine, recording_logits
from training import scores
from training.datasets import Clip
from training.material import Source, prepare
from training.waveforms import Waveforms

_THREADS = 2


@dataclass(frozen=True)
class Answers:
    """What a checkpoint answered to each held-out recording."""

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    truth: NDArray[np.intp]
    """index into `labels`, `[recordings]`"""
    probabilities: NDArray[np.float64]
    """calibrated, `[recordings, labels]`"""


@dataclass(frozen=True)
class Measurement:
    """The figures of one checkpoint, and the answers that they were counted from."""

    metrics: Metrics
    temperature: float
    answers: Answers


@dataclass(frozen=True)
class Evaluation:
    """How held-out clips are measured."""

    source: Source
    """what the checkpoint was trained on, both sides of the split"""
    cache: Path
    """folder for decoded recordings"""
    command: str
    """the command line, to stand beside the figures"""

    def measure(self, checkpoint: store.Checkpoint, fp32: Path | None = None) -> Measurement:
        """Answer every held-out clip as the service would.

        Args:
            checkpoint: what to measure.
            fp32: the graph before quantisation, to measure what that cost.

        Raises:
            CorpusError, SplitError, CheckpointError: see their modules.
        """
        card = checkpoint.card
        clips, _ = self.source.load(card.task)
        folds = card.training.held_out
        sample_rate = card.front_end.sample_rate
        material = prepare(clips, folds, sample_rate=sample_rate, cache=self.cache)
        test, waveforms = material.test, material.waveforms
        truth = np.array([card.labels.index(clip.label) for clip in test])
        logits = _logits(checkpoint.model, test, waveforms, card.front_end)
        temperature = round(scores.fit_temperature(logits, truth), 4)
        probabilities = scores.recording_probabilities(logits, temperature)
        calibrated = scores.cross_fitted_probabilities(logits, truth, [c.group for c in test])
        answers = Answers(tuple(test), card.labels, truth, probabilities)
        metrics = Metrics(
            protocol=_protocol(folds),
            held_out=folds,
            command=self.command,
            date=datetime.now(UTC).date(),
            overall=_scores(answers, np.ones(len(test), bool)),
            by_corpus=_by_corpus(answers),
            expected_calibration_error=round(
                scores.expected_calibration_error(calibrated, truth), 4
            ),
            accuracy_fp32=None
            if fp32 is None
            else _accuracy(_logits(fp32, test, waveforms, card.front_end), truth, temperature),
        )
        return Measurement(metrics, temperature, answers)


def evaluate(
    checkpoint: store.Checkpoint,
    evaluation: Evaluation,
    fp32: Path | None,
    siblings: Sequence[store.Checkpoint],
) -> tuple[store.Checkpoint, list[Measurement]]:
    """Measure a checkpoint and write the result into its card.

    Args:
        checkpoint: what to measure.
        evaluation: how.
        fp32: its graph before quantisation, to measure what that cost.
        siblings: checkpoints of the same recipe that were trained with other recordings held
            out; their figures join the card, to show what its own owe to the test set.

    Returns:
        the checkpoint with its new card; its measurement and those of its siblings.

    Raises:
        CorpusError, SplitError, CheckpointError: see their modules.
    """
    for sibling in siblings:
        _require_sibling(checkpoint.card, sibling.card)
    measured = evaluation.measure(checkpoint, fp32)
    of_siblings = [evaluation.measure(sibling) for sibling in siblings]
    update = {
        "metrics": measured.metrics,
        "sibling_metrics": tuple(each.metrics for each in of_siblings),
        "temperature": measured.temperature,
    }
    card = checkpoint.card.model_copy(update=update)
    return store.replace_card(checkpoint, card), [measured, *of_siblings]


def _require_sibling(card: Card, other: Card) -> None:
    same = (card.task, card.labels, card.front_end, card.training.recipe)
    if (other.task, other.labels, other.front_end, other.training.recipe) != same:
        raise CheckpointError(
            f"{other.version} is no sibling of {card.version}: "
            "its task, labels, front end or recipe differ"
        )
    if other.training.held_out == card.training.held_out:
        raise CheckpointError(f"{other.version} held out the same as {card.version}")


def _logits(
    model: Path, clips: Sequence[Clip], waveforms: Waveforms, front_end: FrontEnd
) -> list[NDArray[np.float32]]:
    engine = OpenVinoEngine(model)

    def answer(clip: Clip) -> NDArray[np.float32]:
        return recording_logits(engine, waveforms[clip], front_end)

    with ThreadPoolExecutor(_THREADS) as pool:
        answers = track(pool.map(answer, clips), description=model.name, total=len(clips))
        return list(answers)


def _by_corpus(answers: Answers) -> dict[str, Scores]:
    corpora = np.array([clip.corpus for clip in answers.clips])
    return {str(corpus): _scores(answers, corpora == corpus) for corpus in np.unique(corpora)}


def _scores(answers: Answers, chosen: NDArray[np.bool_]) -> Scores:
    groups = {clip.group for clip, taken in zip(answers.clips, chosen, strict=True) if taken}
    return scores.score(
        answers.truth[chosen],
        answers.probabilities[chosen].argmax(axis=1),
        answers.labels,
        len(groups),
    )


def _accuracy(logits: scores.Logits, truth: NDArray[np.intp], temperature: float) -> float:
    answers = scores.recording_probabilities(logits, temperature).argmax(axis=1)
    return round(float(np.mean(answers == truth)), 4)


def _protocol(held_out: dict[str, tuple[str, ...]]) -> str:
    parts = "; ".join(f"{corpus}: {', '.join(folds)}" for corpus, folds in held_out.items())
    return (
        f"Held out of all training and pretraining ({parts}), with every clip that shares a "
        "speaker or a Freesound id with them. Answered by the served graph (OpenVINO), "
        "the mean over each recording's clips."
    )
