"""The tasks that Earshot ships checkpoints for, and the protocols that test them.

Any other task can be trained from own folders.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 64

SHIPPED_STORE = Path(__file__).resolve().parents[1] / "models_store"
"""the checkpoints that come with Earshot"""
MUSIC = "music"
"""a folder of recordings for each genre, below `--data`"""

RetrainedProtocol = Literal["leave-corpus-out", "leave-language-out"]
Protocol = Literal[
    "held-out", "new-corpora", "leave-corpus-out", "leave-language-out", "street-tags"
]
PROTOCOLS: Final[tuple[Protocol, ...]] = (
    *("held-out", "new-corpora", "leave-corpus-out", "leave-language-out", "street-tags"),
)
"""generalisation protocols of `earshot evaluate --protocol`"""


@dataclass(frozen=True)
class OodSource:
    """Recordings of one corpus that have none of a task's labels."""

    corpus: str
    """name in `training.corpora.CORPORA`, or `MUSIC`"""
    split: Literal["labels", "folds", "test"]
    """labels: every other label is for testing; folds: `test_folds` are; test: everything is"""
    excluded: frozenset[str] = frozenset()
    """labels on neither side: what the task names sounds like them, or may be heard in them"""
    test_folds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Task:
    """The labels of a task and the corpora that teach and test it."""

    labels: tuple[str, ...]
    """in the order of the network's outputs"""
    corpora: tuple[str, ...]
    """names in `training.corpora.CORPORA`; those that are not there are left out"""
    held_out: Mapping[str, tuple[str, ...]]
    """corpus -> folds or speakers that are not trained on, unless the user names others"""
    ood_sources: tuple[OodSource, ...]
    ood_reason: Literal["out_of_distribution", "no_voice"] = "out_of_distribution"
    """given where a clip gets no label, see `app.checkpoints.card.OodDetector`"""
    unlabelled_corpora: tuple[str, ...] = ()
    """more sounds of the same kind, labelled otherwise or not at all"""


# Categories of ESC-50 that are what a label names, or hardly to be told from it.
_AMBIGUOUS: Mapping[str, frozenset[str]] = {
    "urban-sound": frozenset(
        ["dog", "car_horn", "siren", "engine", "chainsaw", "fireworks", "laughing", "crying_baby"]
    ),
    "emotion": frozenset(
        ["laughing", "crying_baby", "coughing", "sneezing", "breathing", "snoring"]
    ),
}
# Classes of UrbanSound8K in which people may be heard.
_VOICES = frozenset({"children_playing", "street_music"})

TASKS: Mapping[str, Task] = {
    "emotion": Task(
        labels=("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
        corpora=(
            *("ravdess", "emodb", "tess", "nemo", "urdu", "cremad", "savee"),
            *("emovo", "turev", "banglaser", "emotiontts"),
        ),
        # As many men as women from each corpus.
        held_out={
            "ravdess": ("17", "18", "19", "20"),
            "nemo": ("EB0", "WR0"),
            "emodb": ("11", "13"),  # together at least ten clips of each emotion
            "urdu": ("SM4", "SM7", "SF1", "SF6"),
        },
        ood_sources=(
            OodSource("esc50", split="labels", excluded=_AMBIGUOUS["emotion"]),
            OodSource(
                *("urbansound8k", "folds"), excluded=_VOICES, test_folds=frozenset({"1", "2"})
            ),
            OodSource(MUSIC, split="test"),
        ),
        ood_reason="no_voice",
    ),
    "urban-sound": Task(
        # In the order of UrbanSound8K's classID.
        labels=(
            "air_conditioner",
            "car_horn",
            "children_playing",
            "dog_bark",
            "drilling",
            "engine_idling",
            "gun_shot",
            "jackhammer",
            "siren",
            "street_music",
        ),
        corpora=("urbansound8k",),
        unlabelled_corpora=("esc50",),
        held_out={"urbansound8k": ("1",)},
        ood_sources=(
            OodSource("esc50", split="labels", excluded=_AMBIGUOUS["urban-sound"]),
            OodSource("ravdess", split="test"),
            OodSource(MUSIC, split="test"),
        ),
    ),
}


def require_name(name: str) -> str:
    """Return the name of a task or a checkpoint; raise ValueError when it cannot be one."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"expected lower-case words joined by hyphens, such as machine-faults, got {name!r}"
        )
    return name
