"""Fits the frozen head of a speech ensemble on what its own graph makes of recordings."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from app.audio.network_inputs import InputConfig
from app.checkpoints import store
from app.checkpoints.card import OodDetector
from app.checkpoints.store import MODEL, Checkpoint, ModelKey
from app.inference.engine import OpenVinoEngine
from training.corpora import LabeledRecording
from training.corruptions.material import load_training_backgrounds
from training.data_source import DataSource, TrainingData, prepare
from training.dataset import first_clip
from training.export import save_checkpoint
from training.fine_tuning import TASK
from training.fine_tuning.batches import (
    ABSENT,
    CORPUS_WEIGHTS,
    FULL_SCALE,
    BatchRecipe,
    SpeechBatches,
    draw_weights,
    label_offsets,
)
from training.fine_tuning.ensemble_graph import EnsembleGraph
from training.fine_tuning.frozen_head import (
    HeadRecipe,
    LabelledStatistics,
    Statistics,
    add_ood_output,
    fit_frozen_head,
)
from training.linear_heads import draw_recordings
from training.networks import SPEECH_ENCODER
from training.networks.speech_ensemble import FrozenHead
from training.runs import RunError, RunRecord
from training.sampling import balanced_weights
from training.tasks import TASKS
from training.waveforms import Waveforms, decode_all, readable

_HEAD_BATCHES = BatchRecipe(speed_probability=0.6, corpus_weights=CORPUS_WEIGHTS)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class HeadMaterial:
    """The recordings that a head is fitted on."""

    train: Sequence[LabeledRecording]
    others: Sequence[LabeledRecording]
    """of other kinds; none: the head gets no OOD output"""
    trained_on: tuple[str, ...]
    """corpus and label of each of `others`"""
    waveforms: Waveforms
    """of all of them"""
    labels: Sequence[str]
    """in the order of the outputs"""
    inputs: InputConfig

    @property
    def ood(self) -> OodDetector | None:
        """Return what a card says of the OOD output, before it has a threshold."""
        if not self.others:
            return None
        return OodDetector(reason=TASKS[TASK].ood_reason, trained_on=self.trained_on)


def collect_material(
    source: DataSource,
    data: TrainingData,
    recordings: Sequence[LabeledRecording],
    labels: Sequence[str],
    inputs: InputConfig,
    *,
    cache: Path,
    seed: int,
) -> HeadMaterial:
    """Collect the recordings of a head.

    Args:
        source: of the recordings.
        data: the split of the network.
        recordings: all of the task.
        labels: in the order of the outputs.
        inputs: of the network.
        cache: folder for decoded recordings.
        seed: of which recordings of other kinds are taken where there are many.

    Raises CorpusError when a corpus that is there is not as expected.
    """
    train = data.split.train
    ood = source.load_ood(TASK, recordings)
    found = [] if ood is None else ood.train
    waveforms = decode_all([*train, *found], sample_rate=inputs.sample_rate, cache=cache)
    others = readable(found, waveforms)
    return HeadMaterial(
        train=train,
        others=draw_recordings(others, np.random.default_rng(seed)),
        trained_on=() if ood is None else ood.trained_on,
        waveforms=waveforms,
        labels=labels,
        inputs=inputs,
    )


def fit_head(
    graph: Path,
    material: HeadMaterial,
    source: DataSource,
    recipe: HeadRecipe,
    *,
    cache: Path,
    seed: int,
) -> FrozenHead:
    """Fit a head on the statistics that a graph makes of recordings, augmented ones too.

    Args:
        graph: int8, as it is served.
        material: the recordings.
        source: of the recordings; of noise for the augmentation too.
        recipe: how it is fitted.
        cache: folder for decoded recordings.
        seed: of everything random.

    Raises RunError when the graph has no frozen head.
    """
    train, inputs = material.train, material.inputs
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / MODEL
        EnsembleGraph(graph).write_statistics(part)
        engine = OpenVinoEngine(part)

        def compute(clips: Iterator[Array], number: int, name: str) -> NDArray[np.float16]:
            rows = (engine.infer(first_clip(clip, inputs).numpy()[None]) for clip in clips)
            return np.concatenate(
                [row.astype(np.float16) for row in track(rows, description=name, total=number)]
            )

        versions = [
            compute(clips, len(train), f"version {number}")
            for number, clips in enumerate(_versions(material, source, recipe, cache, seed))
        ]
        others = (material.waveforms[each] for each in material.others)
        unlike = compute(others, len(material.others), "others") if material.others else None
    statistics: Statistics = np.stack(versions)
    weights = draw_weights(train, CORPUS_WEIGHTS)
    offsets = label_offsets(train, material.labels, ABSENT)
    head = fit_frozen_head(
        LabelledStatistics(
            statistics,
            np.array([material.labels.index(each.label) for each in train]),
            weights,
            np.stack([offsets[each.corpus] for each in train]),
        ),
        recipe,
        seed,
    )
    if unlike is not None:
        add_ood_output(
            head,
            statistics,
            weights,
            unlike[None],
            balanced_weights(material.others, by_label=False),
        )
    return head


def _versions(
    material: HeadMaterial, source: DataSource, recipe: HeadRecipe, cache: Path, seed: int
) -> Iterator[Iterator[Array]]:
    """Yield the samples of all recordings: as they are, then of each augmented version."""
    train, inputs = material.train, material.inputs
    yield (material.waveforms[each] for each in train)
    backgrounds = load_training_backgrounds(
        source.path, TASK, train, sample_rate=inputs.sample_rate, cache=cache
    )
    samples = [np.round(material.waveforms[each] * FULL_SCALE).astype(np.int16) for each in train]
    batches = SpeechBatches(train, samples, inputs, _HEAD_BATCHES, backgrounds, seed=seed)
    for version in range(1, 1 + recipe.augmented_versions):
        yield (
            batches.augment(index, np.random.default_rng((seed, version, index)))
            for index in range(len(train))
        )


def refit(root: Path, key: ModelKey, source: DataSource, *, cache: Path, seed: int) -> Checkpoint:
    """Fit the head of a served checkpoint anew, with its encoder left as it is.

    It learns from the corpora that the checkpoint was trained on, without what its card holds
    out. The card has no metrics then, until `earshot evaluate` has run.

    Args:
        root: the store, where the checkpoint is replaced.
        key: of the checkpoint.
        source: of the recordings.
        cache: folder for decoded recordings.
        seed: of everything random.

    Raises:
        RunError: the checkpoint has no frozen head.
        CheckpointError, CorpusError, SplitError, OSError: see their modules.
    """
    checkpoint = store.load(root, key)
    card = checkpoint.card
    graph = EnsembleGraph(checkpoint.model)
    recordings, labels = source.load(key.task)
    if labels != card.labels:
        raise RunError(f"{key} has the labels {', '.join(card.labels)}, not {', '.join(labels)}")
    known = {each.name for each in card.training.corpora} | set(card.training.held_out)
    recordings = [each for each in recordings if each.corpus in known]
    data = prepare(
        recordings, card.training.held_out, sample_rate=card.input.sample_rate, cache=cache
    )
    material = collect_material(
        source, data, recordings, labels, card.input, cache=cache, seed=seed
    )
    recipe = HeadRecipe()
    head = fit_head(checkpoint.model, material, source, recipe, cache=cache, seed=seed)
    training = card.training.model_copy(
        update={"recipe": {**card.training.recipe, **asdict(recipe)}}
    )
    record = RunRecord(labels=labels, input=card.input, training=training)
    with tempfile.TemporaryDirectory() as folder:
        int8 = Path(folder) / MODEL
        graph.replace_head(head, int8=True)
        graph.save(int8)
        return save_checkpoint(root, key, SPEECH_ENCODER, record, material.ood, {MODEL: int8})
