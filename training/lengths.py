"""`earshot evaluate --lengths`: how short a recording may be, and how sure one then can be."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.checkpoints.card import Card, LengthScores, ShortRecordings
from app.inference.engine import Engine, recording_outputs
from training import metrics
from training.clip_outputs import map_in_threads
from training.corpora import CorpusError, LabeledRecording
from training.waveforms import Waveforms

LENGTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0)
"""seconds that recordings are cut to"""
WORTH_A_LABEL = 0.5
"""A length is worth a label where the accuracy is at least so far on the way from chance to that of
whole recordings, and at all greater lengths too."""


def measure_lengths(
    engine: Engine,
    recordings: list[LabeledRecording],
    waveforms: Waveforms,
    card: Card,
    command: str,
) -> ShortRecordings:
    """Classify held-out recordings, cut to their loudest part, as the service would.

    Args:
        engine: of the checkpoint.
        recordings: held out of its training.
        waveforms: of these, at the card's sample rate.
        card: of the checkpoint.
        command: the command line, to stand beside the figures.

    Raises CorpusError where no length is worth a label.
    """
    chance = 1 / len(card.labels)
    y_true = np.array([card.labels.index(recording.label) for recording in recordings])
    sizes = np.array([waveforms[recording].size for recording in recordings])

    def compute(seconds: float, chosen: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        size = round(seconds * card.input.sample_rate)
        outputs = map_in_threads(
            lambda i: recording_outputs(
                engine, loudest_part(waveforms[recordings[i]], size), card.input
            ),
            chosen.tolist(),
        )
        return [of_recording[:, : len(card.labels)] for of_recording in outputs]

    whole = compute(float(sizes.max()), np.arange(len(recordings)))
    whole_accuracy = _accuracy(whole, y_true)
    scores = []
    for seconds in (each for each in LENGTHS if each < card.input.clip_seconds):
        chosen = np.flatnonzero(sizes >= round(seconds * card.input.sample_rate))
        if chosen.size:
            logits = compute(seconds, chosen)
            groups = [recordings[i].group for i in chosen]
            scores.append(_score(seconds, logits, y_true[chosen], groups, card))
    needed = chance + WORTH_A_LABEL * (whole_accuracy - chance)
    too_short = [each.seconds for each in scores if each.accuracy < needed]
    worth = [each.seconds for each in scores if each.seconds > max(too_short, default=0.0)]
    if not worth:
        raise CorpusError("no length of a part of a clip is worth a label")
    return ShortRecordings(
        shortest_seconds=worth[0],
        whole_accuracy=round(whole_accuracy, 4),
        lengths=tuple(scores),
        command=command,
    )


def loudest_part(samples: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the `size` neighbouring samples with the largest power, or all if there are fewer."""
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    if samples.size <= size:
        return samples
    start = int(np.argmax(energy[size:] - energy[:-size]))
    return samples[start : start + size]


def lengths_table(short: ShortRecordings) -> str:
    """Return the scores of each length as a table in Markdown."""
    rows = [
        "| seconds | recordings | accuracy | temperature | ECE | ECE uncorrected |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| {each.seconds:g} | {each.recordings} | {each.accuracy:.1%} | {each.temperature:.2f} | "
        f"{each.expected_calibration_error:.1%} | {each.uncalibrated_error:.1%} |"
        for each in short.lengths
    ]
    return "\n".join(
        [
            *rows,
            "",
            f"whole recordings: {short.whole_accuracy:.1%}; shortest with a label: "
            f"{short.shortest_seconds:g} s",
            "",
        ]
    )


def _score(
    seconds: float,
    logits: metrics.Logits,
    y_true: NDArray[np.intp],
    groups: Sequence[str],
    card: Card,
) -> LengthScores:
    calibrated = metrics.cross_fitted_probabilities(logits, y_true, groups)
    as_card_says = metrics.recording_probabilities(logits, card.temperature)
    return LengthScores(
        seconds=seconds,
        recordings=len(y_true),
        accuracy=round(_accuracy(logits, y_true), 4),
        expected_calibration_error=round(metrics.expected_calibration_error(calibrated, y_true), 4),
        uncalibrated_error=round(metrics.expected_calibration_error(as_card_says, y_true), 4),
        temperature=round(metrics.fit_temperature(logits, y_true), 4),
    )


def _accuracy(logits: metrics.Logits, y_true: NDArray[np.intp]) -> float:
    predicted = metrics.recording_probabilities(logits, 1.0).argmax(axis=1)
    return float(np.mean(predicted == y_true))
