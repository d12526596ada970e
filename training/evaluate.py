"""`earshot evaluate`: what a checkpoint answers on clips that it was not trained on.

The only writer of a card's metrics, temperature and threshold of familiarity.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.audio.log_mel import LogMelConfig
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import CheckpointError
from earshot.schemas import OodMetrics, OodScores, Metrics, Scores
from app.inference.engine import OpenVinoEngine, recording_outputs
from training import metrics as scores
from training.corpora import Clip
from training.data_source import Source, prepare
from training.waveforms import Waveforms, decode_all, readable

_THREADS = 2
# Of held-out clips, the share that shall get a label: who asks about a known sound wants an answer.
_ANSWERED = 0.95

Outputs = Sequence[NDArray[np.float32]]
"""of each recording, shape `[clips, Card.output_size]`"""


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
    threshold: float | None
    """of familiarity; None where the checkpoint does not tell it"""
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
        sample_rate = card.input.sample_rate
        material = prepare(clips, folds, sample_rate=sample_rate, cache=self.cache)
        test, waveforms = material.test, material.waveforms
        truth = np.array([card.labels.index(clip.label) for clip in test])
        outputs = _outputs(checkpoint.model, test, waveforms, card.input)
        logits = _logits(outputs, card)
        temperature = round(scores.fit_temperature(logits, truth), 4)
        probabilities = scores.recording_probabilities(logits, temperature)
        calibrated = scores.cross_fitted_probabilities(logits, truth, [c.group for c in test])
        threshold, familiarity = self._familiarity(checkpoint, clips, outputs)
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
            else _accuracy(
                _logits(_outputs(fp32, test, waveforms, card.input), card), truth, temperature
            ),
            familiarity=familiarity,
        )
        return Measurement(metrics, temperature, threshold, answers)

    def _familiarity(
        self, checkpoint: store.Checkpoint, clips: Sequence[Clip], held_out: Outputs
    ) -> tuple[float | None, OodMetrics | None]:
        """The threshold, chosen on what was held out, and how foreign clips fare by it."""
        card = checkpoint.card
        if card.ood is None:
            return None, None
        known = np.concatenate(held_out)[:, -1]
        threshold = round(float(np.quantile(known, 1 - _ANSWERED)), 4)
        by_kind = {}
        foreign = self.source.load_foreign(card.task, clips)
        for kind, strange in foreign.measured.items() if foreign else ():
            rate = card.input.sample_rate
            waveforms = decode_all(strange, sample_rate=rate, cache=self.cache)
            usable = readable(strange, waveforms)
            outputs = _outputs(checkpoint.model, usable, waveforms, card.input)
            familiar = np.concatenate(outputs)[:, -1]
            by_kind[kind] = OodScores(
                clips=len(familiar),
                auroc=round(scores.auroc(known, familiar), 4),
                refused=round(float(np.mean(familiar < threshold)), 4),
            )
        answered = round(float(np.mean(known >= threshold)), 4)
        return threshold, OodMetrics(answered=answered, foreign=by_kind)


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
        "familiarity": checkpoint.card.ood
        and checkpoint.card.ood.model_copy(update={"threshold": measured.threshold}),
    }
    card = checkpoint.card.model_copy(update=update)
    return store.replace_card(checkpoint, card), [measured, *of_siblings]


def _require_sibling(card: Card, other: Card) -> None:
    same = (card.task, card.labels, card.input, card.training.recipe)
    if (other.task, other.labels, other.input, other.training.recipe) != same:
        raise CheckpointError(
            f"{other.version} is no sibling of {card.version}: "
            "its task, labels, front end or recipe differ"
        )
    if other.training.held_out == card.training.held_out:
        raise CheckpointError(f"{other.version} held out the same as {card.version}")


def _logits(outputs: Outputs, card: Card) -> list[NDArray[np.float32]]:
    return [of_recording[:, : len(card.labels)] for of_recording in outputs]


def _outputs(
    model: Path, clips: Sequence[Clip], waveforms: Waveforms, config: LogMelConfig
) -> list[NDArray[np.float32]]:
    engine = OpenVinoEngine(model)

    def answer(clip: Clip) -> NDArray[np.float32]:
        return recording_outputs(engine, waveforms[clip], config)

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
