"""The recordings that are put in the background: those for tests, and those for training."""

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from training.corpora import CORPORA, LabeledRecording, load_corpora
from training.corruptions import CorruptionKind
from training.corruptions.backgrounds import (
    BackgroundError,
    BackgroundPool,
    BackgroundRecording,
    pool_of_folder,
)
from training.corruptions.severities import TEST_NOISE_FOLDS, TRAINING_NOISE_FOLDS
from training.tasks import TASKS
from training.waveforms import decode_all, readable

NOISE_CORPUS = "esc50"
SPEECH_TASK = "emotion"
"""its corpora are where the voices are from, its held-out speakers are those for tests"""

Side = Literal["test", "training"]


def noise_recordings(
    data: Path, task: str, side: Side, labelled: Sequence[LabeledRecording] = ()
) -> list[LabeledRecording]:
    """Return sounds that are foreign to a task; none where ESC-50 is not below `data`.

    Args:
        data: the folder of the corpora.
        task: categories that are what it names, or sound like it, are left out.
        side: no recording or source of it is on the other side.
        labelled: recordings of the task, whose sources are left out.

    Raises CorpusError when the corpus is not as expected.
    """
    found = load_corpora(data, [NOISE_CORPUS], optional=True)
    excluded = _ambiguous(task)
    taken = {recording.group for recording in labelled}
    tested = {each.group for each in found if each.fold in TEST_NOISE_FOLDS}
    folds = TEST_NOISE_FOLDS if side == "test" else TRAINING_NOISE_FOLDS
    if side == "training":
        taken |= tested
    return [
        each
        for each in found
        if each.fold in folds and each.label not in excluded and each.group not in taken
    ]


def speech_recordings(data: Path, side: Side) -> list[LabeledRecording]:
    """Return voices: of the speakers that are held out of all training, or of all others.

    Raises CorpusError when a corpus is not as expected.
    """
    task = TASKS[SPEECH_TASK]
    found = load_corpora(data, task.corpora, optional=True)
    tested = {each.group for each in found if each.fold in task.held_out.get(each.corpus, ())}
    return [each for each in found if (each.group in tested) == (side == "test")]


def load_test_backgrounds(
    data: Path | None,
    task: str,
    labelled: Sequence[LabeledRecording],
    *,
    sample_rate: int,
    cache: Path,
    noise: Path | None = None,
    speech: Path | None = None,
) -> dict[CorruptionKind, BackgroundPool]:
    """Return what is put in the background of a task's recordings in tests, decoded.

    Args:
        data: the folder of the corpora; None: `noise` and `speech` must be given.
        task: see `noise_recordings`.
        labelled: recordings of the task.
        sample_rate: of the samples, Hz.
        cache: folder for decoded recordings.
        noise: a folder of other sounds to use in place of ESC-50.
        speech: a folder of voices to use in place of the held-out speakers.

    Raises:
        BackgroundError: there is nothing for one of the kinds.
        CorpusError: a corpus is not as expected.
        OSError: the cache cannot be written.
    """
    if noise is not None:
        noises = pool_of_folder(noise, sample_rate)
    else:
        found = noise_recordings(data, task, "test", labelled) if data else []
        if not found:
            folder = CORPORA[NOISE_CORPUS].folder
            raise BackgroundError(f"noise needs {folder} below --data, or a folder as --noise DIR")
        noises = _decoded(found, sample_rate, cache)
    if speech is not None:
        return {"noise": noises, "speech": pool_of_folder(speech, sample_rate)}
    voices = speech_recordings(data, "test") if data else []
    if not voices:
        task_spec = TASKS[SPEECH_TASK]
        speakers = "; ".join(
            f"{CORPORA[corpus].folder} {', '.join(names)}"
            for corpus, names in task_spec.held_out.items()
        )
        raise BackgroundError(
            f"speech needs held-out speakers below --data ({speakers}), or a folder as --speech DIR"
        )
    return {"noise": noises, "speech": _decoded(voices, sample_rate, cache)}


def load_training_backgrounds(
    data: Path,
    task: str,
    train: Sequence[LabeledRecording],
    *,
    sample_rate: int,
    cache: Path,
) -> dict[CorruptionKind, BackgroundPool]:
    """Return what training may put in the background of a task's recordings, decoded.

    Noise is there where ESC-50 is below `data`, speech where `train` has two speakers or more.

    Args:
        data: the folder of the corpora.
        task: see `noise_recordings`.
        train: voices on the training side of the split; those of tests are left out.
        sample_rate: of the samples, Hz.
        cache: folder for decoded recordings.

    Raises:
        BackgroundError: none of the recordings of a kind can be decoded.
        CorpusError: a corpus is not as expected.
        OSError: the cache cannot be written.
    """
    pools: dict[CorruptionKind, BackgroundPool] = {}
    noises = noise_recordings(data, task, "training", train)
    if noises:
        pools["noise"] = _decoded(noises, sample_rate, cache)
    tested = TASKS[SPEECH_TASK].held_out
    voices = [each for each in train if each.fold not in tested.get(each.corpus, ())]
    if len({each.group for each in voices}) > 1:
        pools["speech"] = _decoded(voices, sample_rate, cache)
    return pools


def _decoded(
    recordings: Sequence[LabeledRecording], sample_rate: int, cache: Path
) -> BackgroundPool:
    waveforms = decode_all(recordings, sample_rate=sample_rate, cache=cache)
    return BackgroundPool(
        [
            BackgroundRecording(
                f"{each.corpus}/{each.path.name}", each.group, partial(waveforms.__getitem__, each)
            )
            for each in readable(recordings, waveforms)
        ]
    )


def _ambiguous(task: str) -> Collection[str]:
    sources = TASKS[task].ood_sources if task in TASKS else ()
    return {
        label for source in sources if source.corpus == NOISE_CORPUS for label in source.excluded
    }
