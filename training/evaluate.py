"""`earshot evaluate`: measure a checkpoint on recordings that it was not trained on.

Nothing else writes a card's metrics, temperature and OOD threshold.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.audio.network_inputs import InputConfig
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import CheckpointError
from app.inference.engine import OpenVinoEngine, recording_outputs
from earshot.schemas import Metrics, OodMetrics, OodScores, Scores
from training import metrics
from training.clip_outputs import map_in_threads
from training.corpora import CorpusError, LabeledRecording
from training.data_source import DataSource, prepare
from training.edge.graph import embed_card
from training.splits import require_labels
from training.waveforms import Waveforms, decode_all, readable

log = logging.getLogger(__name__)

_CLASSIFIED = "Classified by the served graph (OpenVINO), the mean over each recording's clips."
_UNSEEN_PROTOCOL = f"One's own recordings, none of which training heard. {_CLASSIFIED}"

Outputs = Sequence[NDArray[np.float32]]
"""of each recording, shape `[clips, Card.output_size]`"""


@dataclass(frozen=True)
class Predictions:
    """The predictions of a checkpoint for held-out recordings."""

    recordings: tuple[LabeledRecording, ...]
    labels: tuple[str, ...]
    y_true: NDArray[np.intp]
    """index into `labels`, `[recordings]`"""
    probabilities: NDArray[np.float64]
    """calibrated, `[recordings, labels]`"""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one checkpoint, and the predictions that they were computed from."""

    metrics: Metrics
    temperature: float
    ood_threshold: float | None
    """None where the checkpoint has no OOD detector"""
    predictions: Predictions


@dataclass(frozen=True)
class Evaluator:
    """Measures checkpoints on the held-out recordings of one data source."""

    source: DataSource
    """the one that the checkpoint was trained on, both sides of the split"""
    cache: Path
    """folder for decoded recordings"""
    command: str
    """the command line, to stand beside the metrics"""

    def evaluate(self, checkpoint: store.Checkpoint, fp32: Path | None = None) -> Evaluation:
        """Classify every held-out recording as the service would.

        Args:
            checkpoint: is measured; its card stays as it is.
            fp32: the graph before quantisation, to measure the loss by it.

        Raises:
            CorpusError, SplitError, CheckpointError: see their modules.
        """
        card = checkpoint.card
        recordings, _ = self.source.load(card.task)
        folds = card.training.held_out
        sample_rate = card.input.sample_rate
        data = prepare(recordings, folds, sample_rate=sample_rate, cache=self.cache)
        test, waveforms = data.split.test, data.waveforms
        require_labels(test, card.labels)
        y_true = np.array([card.labels.index(recording.label) for recording in test])
        outputs = _outputs(checkpoint.model, test, waveforms, card.input)
        logits = _logits(outputs, card)
        temperature = round(metrics.fit_temperature(logits, y_true), 4)
        probabilities = metrics.recording_probabilities(logits, temperature)
        groups = [recording.group for recording in test]
        calibrated = metrics.cross_fitted_probabilities(logits, y_true, groups)
        threshold, ood = self._ood_metrics(checkpoint, recordings, outputs)
        predictions = Predictions(tuple(test), card.labels, y_true, probabilities)
        measured = Metrics(
            protocol=_protocol(folds),
            held_out=folds,
            command=self.command,
            date=datetime.now(UTC).date(),
            overall=_scores(predictions, np.ones(len(test), bool)),
            by_corpus=_by_corpus(predictions),
            expected_calibration_error=round(
                metrics.expected_calibration_error(calibrated, y_true), 4
            ),
            accuracy_fp32=None
            if fp32 is None
            else _accuracy(
                _logits(_outputs(fp32, test, waveforms, card.input), card), y_true, temperature
            ),
            ood=ood,
        )
        return Evaluation(measured, temperature, threshold, predictions)

    def evaluate_unseen(self, checkpoint: store.Checkpoint) -> Evaluation:
        """Classify every recording of a source that training never heard, as the service would.

        Nothing is fitted on them: probabilities are calibrated as the card says.

        Args:
            checkpoint: is measured; its card stays as it is.

        Raises:
            CorpusError: a label is none of the checkpoint's, or no recording can be decoded.
            OSError: the cache cannot be written.
        """
        card = checkpoint.card
        recordings, _ = self.source.load(card.task)
        require_labels(recordings, card.labels)
        waveforms = decode_all(recordings, sample_rate=card.input.sample_rate, cache=self.cache)
        usable = readable(recordings, waveforms)
        if not usable:
            raise CorpusError(f"{self.source.path}: none of the recordings can be decoded")
        logits = _logits(_outputs(checkpoint.model, usable, waveforms, card.input), card)
        probabilities = metrics.recording_probabilities(logits, card.temperature)
        y_true = np.array([card.labels.index(recording.label) for recording in usable])
        predictions = Predictions(tuple(usable), card.labels, y_true, probabilities)
        error = metrics.expected_calibration_error(probabilities, y_true)
        measured = Metrics(
            protocol=_UNSEEN_PROTOCOL,
            command=self.command,
            date=datetime.now(UTC).date(),
            overall=_scores(predictions, np.ones(len(usable), bool)),
            by_corpus=_by_corpus(predictions),
            expected_calibration_error=round(error, 4),
            accuracy_fp32=None,
        )
        return Evaluation(measured, card.temperature, None, predictions)

    def _ood_metrics(
        self,
        checkpoint: store.Checkpoint,
        recordings: Sequence[LabeledRecording],
        held_out: Outputs,
    ) -> tuple[float | None, OodMetrics | None]:
        """Return the threshold, chosen on what was held out, and the metrics under it."""
        card = checkpoint.card
        if card.ood is None:
            return None, None
        in_distribution = np.concatenate(held_out)[:, -1]
        threshold = metrics.ood_threshold(in_distribution)
        by_source = {}
        ood = self.source.load_ood(card.task, recordings)
        for source, test in ood.test.items() if ood else ():
            rate = card.input.sample_rate
            waveforms = decode_all(test, sample_rate=rate, cache=self.cache)
            usable = readable(test, waveforms)
            outputs = _outputs(checkpoint.model, usable, waveforms, card.input)
            scores = np.concatenate(outputs)[:, -1]
            by_source[source] = OodScores(
                clips=len(scores),
                auroc=round(metrics.auroc(in_distribution, scores), 4),
                rejection_rate=round(float(np.mean(scores < threshold)), 4),
            )
        coverage = round(float(np.mean(in_distribution >= threshold)), 4)
        return threshold, OodMetrics(coverage=coverage, by_source=by_source)


def evaluate(
    checkpoint: store.Checkpoint,
    evaluator: Evaluator,
    fp32: Path | None,
    siblings: Sequence[store.Checkpoint],
) -> tuple[store.Checkpoint, list[Evaluation]]:
    """Measure a checkpoint and write the result into its card, which keeps what was not measured.

    Args:
        checkpoint: is measured.
        evaluator: measures it.
        fp32: its graph before quantisation, to measure the loss by it.
        siblings: checkpoints of the same recipe that were trained with other recordings held
            out; their metrics join the card, to show what its own owe to the test set.

    Returns:
        the checkpoint with its new card; its evaluation and those of its siblings.

    Raises:
        CorpusError, SplitError, CheckpointError: see their modules.
    """
    for sibling in siblings:
        _require_sibling(checkpoint.card, sibling.card)
    evaluation = evaluator.evaluate(checkpoint, fp32)
    of_siblings = [evaluator.evaluate(sibling) for sibling in siblings]
    card = checkpoint.card
    if (card.temperature, card.ood and card.ood.threshold) != (
        evaluation.temperature,
        evaluation.ood_threshold,
    ):
        _warn_of_older(card)
    update = {
        "metrics": _with_further_metrics(evaluation.metrics, card.metrics),
        "sibling_metrics": tuple(each.metrics for each in of_siblings) or card.sibling_metrics,
        "temperature": evaluation.temperature,
        "ood": card.ood and card.ood.model_copy(update={"threshold": evaluation.ood_threshold}),
    }
    card = card.model_copy(update=update)
    return embed_card(store.replace_card(checkpoint, card)), [evaluation, *of_siblings]


_FURTHER = ("robustness", "generalization", "street_tags", "slices", "commands")
"""fields of metrics that other options of `earshot evaluate` measure"""


def _with_further_metrics(new: Metrics, old: Metrics | None) -> Metrics:
    """Return the new metrics, and of the old ones all that was not measured anew."""
    if old is None:
        return new
    kept: dict[str, object] = {field: getattr(old, field) for field in _FURTHER}
    if new.accuracy_fp32 is None:
        kept["accuracy_fp32"] = old.accuracy_fp32
    if old.ood is not None and new.ood is not None:
        sources = {**old.ood.by_source, **new.ood.by_source}
        update = {"by_source": sources, "by_family": old.ood.by_family}
        kept["ood"] = new.ood.model_copy(update=update)
    return new.model_copy(update=kept)


def _warn_of_older(card: Card) -> None:
    """Tell what a card keeps that was measured under another temperature or OOD threshold."""
    older = [field for field in _FURTHER[:-1] if card.metrics and getattr(card.metrics, field)]
    if card.metrics and card.metrics.ood and card.metrics.ood.by_family:
        older.append("families of OOD sounds")
    if card.short is not None:
        older.append("lengths")
    if older:
        log.warning(
            "%s/%s: temperature or OOD threshold changed; kept as they were measured before: %s",
            card.task,
            card.name,
            ", ".join(older),
        )


def _require_sibling(card: Card, other: Card) -> None:
    same = (card.task, card.labels, card.network, card.input, card.training.recipe)
    if (other.task, other.labels, other.network, other.input, other.training.recipe) != same:
        raise CheckpointError(
            f"{other.version} is no sibling of {card.version}: "
            "its task, labels, network, input or recipe differ"
        )
    if other.training.held_out == card.training.held_out:
        raise CheckpointError(f"{other.version} held out the same as {card.version}")


def _logits(outputs: Outputs, card: Card) -> list[NDArray[np.float32]]:
    return [of_recording[:, : len(card.labels)] for of_recording in outputs]


def _outputs(
    model: Path,
    recordings: Sequence[LabeledRecording],
    waveforms: Waveforms,
    config: InputConfig,
) -> list[NDArray[np.float32]]:
    engine = OpenVinoEngine(model)

    def compute(recording: LabeledRecording) -> NDArray[np.float32]:
        return recording_outputs(engine, waveforms[recording], config)

    outputs = map_in_threads(compute, recordings)
    return list(track(outputs, description=model.name, total=len(recordings)))


def _by_corpus(predictions: Predictions) -> dict[str, Scores]:
    corpora = np.array([recording.corpus for recording in predictions.recordings])
    return {str(corpus): _scores(predictions, corpora == corpus) for corpus in np.unique(corpora)}


def _scores(predictions: Predictions, chosen: NDArray[np.bool_]) -> Scores:
    pairs = zip(predictions.recordings, chosen, strict=True)
    groups = {recording.group for recording, is_chosen in pairs if is_chosen}
    return metrics.score(
        predictions.y_true[chosen],
        predictions.probabilities[chosen].argmax(axis=1),
        predictions.labels,
        len(groups),
    )


def _accuracy(logits: metrics.Logits, y_true: NDArray[np.intp], temperature: float) -> float:
    y_pred = metrics.recording_probabilities(logits, temperature).argmax(axis=1)
    return round(float(np.mean(y_pred == y_true)), 4)


def _protocol(held_out: dict[str, tuple[str, ...]]) -> str:
    parts = "; ".join(f"{corpus}: {', '.join(folds)}" for corpus, folds in held_out.items())
    return (
        f"Held out of all training and pretraining ({parts}), with every recording that shares a "
        f"speaker or a source with them. {_CLASSIFIED}"
    )
