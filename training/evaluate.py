"""`earshot evaluate`: what a checkpoint answers on clips that it was not trained on.

The only writer of a card's metrics and temperature.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.audio.frontend import FrontEnd
from app.checkpoints import store
from app.checkpoints.card import Metrics, Scores
from app.inference.engine import OpenVinoEngine, recording_logits
from training import scores
from training.datasets import Clip, load_task
from training.splits import hold_out
from training.waveforms import Waveforms, decode_all, readable

_THREADS = 2


def evaluate(
    checkpoint: store.Checkpoint, data: Path, cache: Path, command: str, fp32: Path | None
) -> store.Checkpoint:
    """Answer every held-out clip as the service would, and write the result into the card.

    Args:
        checkpoint: what to measure.
        data: the folder of corpora that it was trained on.
        cache: folder for decoded recordings.
        command: the command line, to stand beside the figures.
        fp32: the graph before quantisation, to measure what that cost.

    Raises:
        CorpusError, SplitError, CheckpointError: see their modules.
    """
    card = checkpoint.card
    clips = load_task(data, card.task)
    waveforms = decode_all(clips, sample_rate=card.front_end.sample_rate, cache=cache)
    test = hold_out(readable(clips, waveforms), card.training.held_out).test
    truth = np.array([card.labels.index(clip.label) for clip in test])
    groups = [clip.group for clip in test]
    logits = _logits(checkpoint.model, test, waveforms, card.front_end)
    temperature = scores.fit_temperature(logits, truth)
    answers = scores.recording_probabilities(logits, temperature).argmax(axis=1)
    calibrated = scores.cross_fitted_probabilities(logits, truth, groups)
    metrics = Metrics(
        protocol=_protocol(card.training.held_out),
        command=command,
        date=datetime.now(UTC).date(),
        overall=_scores(test, truth, answers, card.labels),
        by_corpus=_by_corpus(test, truth, answers, card.labels),
        expected_calibration_error=round(scores.expected_calibration_error(calibrated, truth), 4),
        accuracy_fp32=None
        if fp32 is None
        else _accuracy(_logits(fp32, test, waveforms, card.front_end), truth, temperature),
    )
    update = {"metrics": metrics, "temperature": round(temperature, 4)}
    return store.replace_card(checkpoint, card.model_copy(update=update))


def _logits(
    model: Path, clips: Sequence[Clip], waveforms: Waveforms, front_end: FrontEnd
) -> list[NDArray[np.float32]]:
    engine = OpenVinoEngine(model)

    def answer(clip: Clip) -> NDArray[np.float32]:
        return recording_logits(engine, waveforms[clip], front_end)

    with ThreadPoolExecutor(_THREADS) as pool:
        answers = track(pool.map(answer, clips), description=model.name, total=len(clips))
        return list(answers)


def _by_corpus(
    clips: Sequence[Clip],
    truth: NDArray[np.intp],
    answers: NDArray[np.intp],
    labels: Sequence[str],
) -> dict[str, Scores]:
    corpora = np.array([clip.corpus for clip in clips])
    return {
        str(corpus): _scores(
            [clip for clip in clips if clip.corpus == corpus],
            truth[corpora == corpus],
            answers[corpora == corpus],
            labels,
        )
        for corpus in np.unique(corpora)
    }


def _scores(
    clips: Sequence[Clip],
    truth: NDArray[np.intp],
    answers: NDArray[np.intp],
    labels: Sequence[str],
) -> Scores:
    return scores.score(truth, answers, labels, len({clip.group for clip in clips}))


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
