"""`earshot evaluate --ood`: five families of sounds that a task has no label for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.checkpoints.card import Card
from earshot.schemas import OodFamilyScores
from training import metrics
from training.corpora import CORPORA, LabeledRecording, load_corpora
from training.corpora.folders import load_folders
from training.corruptions.material import speech_recordings
from training.tasks import MUSIC, TASKS

FAMILIES: Final = ("music", "speech", "household", "animals", "machines")
GALLERY = Path(__file__).parents[1] / "assets" / "genres"
"""the recordings of the genre gallery, a folder for each genre"""
SPEECH_TASKS: Final = frozenset({"emotion"})
"""tasks that voices are not foreign to"""

MAX_RECORDINGS = 400
"""of a family"""

_KITCHEN = (
    *("blender", "boiling-water", "book", "chopping", "clean-dishes", "cupboard", "cutlery"),
    *("dishwasher", "drawer", "eat", "fridge", "frying-pan", "juicer", "microwave", "peel"),
    *("plates", "stove-burner", "stove-fan", "sweep", "water-flowing"),
)
_LABELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "household": {
        "kitchen20": _KITCHEN,
        "household": ("dishwasher", "vacuuming", "washer"),
        "esc50": (
            *("brushing_teeth", "can_opening", "clock_alarm", "clock_tick", "door_-_wood_creaks"),
            *("door_knock", "drinking_-_sipping", "glass_breaking", "keyboard_typing"),
            *("mouse_click", "toilet_flush", "vacuum_cleaner", "washing_machine"),
        ),
    },
    "animals": {
        "esc50": (
            *("cat", "chirping_birds", "cow", "crickets", "crow", "dog", "frog", "hen"),
            *("insects", "pig", "rooster", "sheep"),
        ),
    },
    "machines": {
        "esc50": (
            *("airplane", "car_horn", "chainsaw", "engine", "hand_saw", "helicopter", "siren"),
            "train",
        ),
    },
}


def load_families(
    data: Path, card: Card, labelled: Sequence[LabeledRecording]
) -> dict[str, list[LabeledRecording]]:
    """Return family -> recordings, at most 400 of each; without those that are not below `data`.

    Args:
        data: the folder of the corpora.
        card: of the checkpoint; what its detector was trained on is left out, and labels that
            its task names or that sound like it.
        labelled: recordings of the task, whose sources are left out.

    Raises CorpusError when a corpus that is there is not as expected.
    """
    trained = set(card.ood.trained_on) if card.ood else set()
    sources = TASKS[card.task].ood_sources if card.task in TASKS else ()
    excluded = {f"{each.corpus}: {label}" for each in sources for label in each.excluded}
    music = [
        each
        for folder in (data / MUSIC, GALLERY)
        if folder.is_dir()
        for each in load_folders(folder)
    ]
    families = {
        "music": [*music, *load_corpora(data, ["gtzan"], optional=True)],
        "speech": [] if card.task in SPEECH_TASKS else speech_recordings(data, "test"),
    }
    for family, of_corpora in _LABELS.items():
        found = load_corpora(data, [name for name in CORPORA if name in of_corpora], optional=True)
        families[family] = [each for each in found if each.label in of_corpora[each.corpus]]
    barred = {*trained, *excluded}
    taken = {recording.group for recording in labelled}
    return {
        family: spread
        for family, found in families.items()
        if (
            spread := _spread(
                [
                    each
                    for each in found
                    if f"{each.corpus}: {each.label}" not in barred
                    and each.label not in card.labels
                    and each.group not in taken
                ]
            )
        )
    }


def score_family(
    in_distribution: NDArray[np.float32], scores: NDArray[np.float32]
) -> OodFamilyScores:
    """Compare a family's OOD scores with those of held-out clips, both shape `[clips]`."""
    at_95, at_99 = np.quantile(in_distribution, [0.05, 0.01])
    return OodFamilyScores(
        clips=len(scores),
        auroc=round(metrics.auroc(in_distribution, scores), 4),
        rejection_rate_at_95=round(float(np.mean(scores < at_95)), 4),
        rejection_rate_at_99=round(float(np.mean(scores < at_99)), 4),
    )


def _spread(recordings: Sequence[LabeledRecording]) -> list[LabeledRecording]:
    """Return at most 400 of the recordings, from all over the list."""
    step = max(1.0, len(recordings) / MAX_RECORDINGS)
    return [recordings[int(i * step)] for i in range(min(len(recordings), MAX_RECORDINGS))]
