"""`earshot evaluate --slices`: scores of a part of the held-out recordings at a time."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from earshot.schemas import GroupedScores
from training.attributes import intensity_of, sex_of, signal_to_noise_db
from training.corpora import LabeledRecording
from training.intervals import grouped_scores
from training.waveforms import Waveforms

ALL = "all"
"""recordings whose value of an attribute is known"""
_THIRDS = (1 / 3, 2 / 3)

_Values = tuple[Sequence[str | None], Sequence[str]]
"""value of each recording, None where it is not known, and all values in their order"""


def measure_slices(
    recordings: Sequence[LabeledRecording],
    waveforms: Waveforms,
    sample_rate: int,
    y_true: NDArray[np.intp],
    y_pred: NDArray[np.intp],
) -> dict[str, dict[str, GroupedScores]]:
    """Return attribute -> value -> scores, for the attributes that at least two values occur of.

    Args:
        recordings: held out.
        waveforms: of them.
        sample_rate: of the waveforms, Hz.
        y_true: index of each recording's label, `[recordings]`.
        y_pred: the same of the predicted labels.
    """
    lengths, ratios = [], []
    for recording in recordings:
        samples = waveforms[recording]
        lengths.append(samples.size / sample_rate)
        ratios.append(signal_to_noise_db(samples, sample_rate))
    attributes: Mapping[str, _Values] = {
        "sex": _each(sex_of, recordings),
        "intensity": _each(intensity_of, recordings),
        "length": _thirds(lengths, "s", 1),
        "signal-to-noise ratio": _thirds(ratios, "dB", 0),
    }
    groups = np.array([recording.group for recording in recordings])
    slices = {}
    for attribute, (values, names) in attributes.items():
        known = np.array([value is not None for value in values])
        of_value = {
            name: np.array([value == name for value in values]) for name in names if name in values
        }
        if len(of_value) < 2:
            continue
        slices[attribute] = {
            name: grouped_scores(y_true[chosen], y_pred[chosen], groups[chosen].tolist())
            for name, chosen in {ALL: known, **of_value}.items()
        }
    return slices


def worse_slices(slices: Mapping[str, Mapping[str, GroupedScores]]) -> list[tuple[str, str]]:
    """Return (attribute, value) of the slices whose UAR is worse than that of all together.

    Worse is one whose whole interval lies below.
    """
    return [
        (attribute, value)
        for attribute, scores in slices.items()
        for value, of_value in scores.items()
        if value != ALL and of_value.uar.high < scores[ALL].uar.value
    ]


def _each(
    function: Callable[[LabeledRecording], str | None], recordings: Sequence[LabeledRecording]
) -> _Values:
    values = [function(recording) for recording in recordings]
    return values, sorted({value for value in values if value is not None})


def _thirds(values: Sequence[float], unit: str, digits: int) -> _Values:
    """Return for each value in which third of all values it lies, by rounded limits."""
    limits = np.unique([round(float(each), digits) for each in np.quantile(values, _THIRDS)])
    edges = [f"{limit:g}" for limit in limits]
    names = [
        f"below {edges[0]} {unit}",
        *(f"{low} to {high} {unit}" for low, high in pairwise(edges)),
        f"{edges[-1]} {unit} and more",
    ]
    return [names[place] for place in np.digitize(values, limits)], names
