"""Sounds that are none of a task's labels, to learn and to measure what is unfamiliar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.tasks import TaskName
from training.corpora import CORPORA, Clip, esc50, ravdess, urbansound8k
from training.corpora.folders import load_folders

_MUSIC = "music"
"""a folder of recordings for each genre"""

# Of ESC-50: neither known nor foreign, being what a label names, or hardly to be told from it.
_AKIN: Mapping[TaskName, frozenset[str]] = {
    "urban-sound": frozenset(
        ["dog", "car_horn", "siren", "engine", "chainsaw", "fireworks", "laughing", "crying_baby"]
    ),
    "emotion": frozenset(
        ["laughing", "crying_baby", "coughing", "sneezing", "breathing", "snoring"]
    ),
}
# Of UrbanSound8K: people may be heard in them.
_VOICES = frozenset({"children_playing", "street_music"})
_MEASURED_FOLDS = frozenset({"1", "2"})


@dataclass(frozen=True)
class Foreign:
    """Clips of no known kind, on both sides of a split."""

    learned: Sequence[Clip]
    """to tell the familiar from"""
    measured: Mapping[str, Sequence[Clip]]
    """what it is -> clips of other kinds and recordings than those of `learned`"""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What `learned` holds, as corpus and label."""
        return tuple(sorted({f"{clip.corpus}: {clip.label}" for clip in self.learned}))


def foreign_clips(data: Path, task: TaskName, known: Sequence[Clip]) -> Foreign:
    """Those below `data`; either side may be empty.

    Every other category of ESC-50 is learned from, the rest are measured on: what is met
    later will not be of a kind that anyone thought of. Beside them, urban-sound is measured on
    voices and music, and emotion learns from streets, and is measured on other streets and music.

    Args:
        data: the folder of the corpora.
        task: whose labels the clips have none of.
        known: all clips of the task; their groups are left out.

    Raises CorpusError when a corpus that is there is not as expected.
    """
    taken = {clip.group for clip in known}
    sounds = [clip for clip in _load(data, "esc50") if clip.label not in _AKIN[task]]
    odd = set(sorted({clip.label for clip in sounds})[1::2])
    learned = [clip for clip in sounds if clip.label not in odd]
    measured = {esc50.FOLDER: [clip for clip in sounds if clip.label in odd]}
    if task == "urban-sound":
        measured[ravdess.FOLDER] = _load(data, "ravdess")
    else:
        streets = [clip for clip in _load(data, "urbansound8k") if clip.label not in _VOICES]
        learned += [clip for clip in streets if clip.fold not in _MEASURED_FOLDS]
        measured[urbansound8k.FOLDER] = [c for c in streets if c.fold in _MEASURED_FOLDS]
    if (data / _MUSIC).is_dir():
        measured[_MUSIC] = load_folders(data / _MUSIC)
    learned = [clip for clip in learned if clip.group not in taken]
    taken |= {clip.group for clip in learned}
    return Foreign(
        learned,
        {
            name: others
            for name, clips in measured.items()
            if (others := [clip for clip in clips if clip.group not in taken])
        },
    )


def _load(data: Path, corpus: str) -> list[Clip]:
    module = CORPORA[corpus]
    root = data / module.FOLDER
    clips: list[Clip] = module.load(root) if root.is_dir() else []
    return clips
