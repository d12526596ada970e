"""Facts about recordings that slices and protocols go by: language, sex, intensity, SNR."""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.corpora import LabeledRecording

LANGUAGES: Mapping[str, str] = {
    "ravdess": "English",
    "tess": "English",
    "cremad": "English",
    "savee": "English",
    "emodb": "German",
    "nemo": "Polish",
    "urdu": "Urdu",
    "emovo": "Italian",
    "turev": "Turkish",
    "banglaser": "Bangla",
    "emotiontts": "Korean",
}
"""corpus -> language that is spoken in it"""

_EMODB_MEN = frozenset({"03", "10", "11", "12", "15"})
_FRAME_SECONDS = 0.02
_NOISE_QUANTILE, _SIGNAL_QUANTILE = 0.1, 0.9
_LARGEST_SNR_DB = 96.0
"""of 16 bits"""


def sex_of(recording: LabeledRecording) -> str | None:
    """Return `female` or `male` for the speaker, or None where the corpus does not tell it."""
    speaker = recording.group.partition(":")[2]
    is_man: bool | None = None
    match recording.corpus:
        case "ravdess" | "banglaser":  # odd numbers are men
            is_man = int(speaker) % 2 == 1
        case "emodb":
            is_man = speaker in _EMODB_MEN
        case "tess":
            is_man = False
        case "savee":
            is_man = True
        case "urdu":
            is_man = speaker.startswith("SM")
        case "emovo":
            is_man = speaker.startswith("m")
        case "nemo":
            sexes = _nemo_sexes(recording.path.parent.parent / "data.tsv")
            return sexes.get(recording.fold)
    return None if is_man is None else "male" if is_man else "female"


@cache
def _nemo_sexes(table: Path) -> dict[str, str]:
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["speaker_id"].strip(): row.get("gender", "").strip() for row in rows}


def intensity_of(recording: LabeledRecording) -> str | None:
    """Return `normal` or `strong` for the emotion of RAVDESS' actors, None elsewhere."""
    if recording.corpus != "ravdess":
        return None
    return {"01": "normal", "02": "strong"}.get(recording.path.stem.split("-")[3])


def signal_to_noise_db(samples: NDArray[np.float32], sample_rate: int) -> float:
    """Estimate a recording's signal-to-noise ratio from its levels alone.

    That is the power of 20 ms frames that 90 % lie below, over the one that 10 % lie below: loud
    parts over pauses, 0 to 96 dB. Of a steady sound, which is its own background, it is near 0.
    """
    frame = round(_FRAME_SECONDS * sample_rate)
    if samples.size < 2 * frame:
        return 0.0
    frames = samples[: samples.size // frame * frame].reshape(-1, frame)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    noise, signal = np.quantile(power, [_NOISE_QUANTILE, _SIGNAL_QUANTILE])
    floor = signal * 10 ** (-_LARGEST_SNR_DB / 10)
    return float(10 * np.log10(signal / max(noise, floor))) if signal > 0 else 0.0
