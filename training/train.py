"""`earshot train`: labelled recordings in, the weights of one network out."""

import logging
import shutil
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from app.audio.log_mel import LogMelConfig
from app.checkpoints import card, store
from training.corpora import LabeledRecording, licence
from training.corruptions.augmentation import Backgrounds
from training.corruptions.material import load_training_backgrounds
from training.data_source import TrainingData, prepare
from training.dataset import (
    AugmentedClips,
    AugmentedDataset,
    DistilledDataset,
    EvalDataset,
    FirstClipDataset,
    SampledDataset,
)
from training.edge.dataset import ViewsDataset
from training.edge.views import Views, ask_all
from training.fit import (
    LAST,
    ClassifierModule,
    Run,
    Schedule,
    TaughtClassifierModule,
    balanced_loader,
    fit,
)
from training.networks import AudioClassifier, build_network
from training.pretrained import Pretraining, load_start, require_start
from training.recipes import Recipe, log_mel_config, scaled_recipe
from training.runs import (
    RunConfig,
    RunRecord,
    has_weights,
    load_run,
    lock_run_config,
    save_run,
)
from training.splits import default_held_out, hold_out, require_labels, require_measured
from training.teachers.soft_labels import CheckpointTeacher, SoftLabelTeacher, YamnetTeacher

log = logging.getLogger(__name__)

_VIEWS = "views"
"""folder of a run"""
_UNFOLDING_CLIPS = 256
"""that batch normalisations of a served checkpoint are measured on"""


def plan(config: RunConfig, *, scaled: Collection[str] = ()) -> RunConfig:
    """Return the options of a run complete, with what follows from its recordings.

    What cannot end well is found here, before anything is decoded.

    Args:
        config: `held_out` may be missing.
        scaled: fields of the recipe that may follow the number of recordings; see
            `training.recipes.scaled_recipe`.

    Raises:
        CorpusError, SplitError, RunError, CheckpointError: see their modules.
    """
    return _complete(config, config.source.load(config.task)[0], scaled)


def _complete(
    config: RunConfig, recordings: Sequence[LabeledRecording], scaled: Collection[str] = ()
) -> RunConfig:
    """See `plan`."""
    folds = config.held_out or default_held_out(recordings, config.task, config.seed)
    held_out = {corpus: tuple(names) for corpus, names in folds.items()}
    split = hold_out(recordings, held_out)
    require_measured(split, recordings)
    if config.pretrained is not None:
        require_start(config.pretrained, config.network, split)
    recipe = scale(config.recipe, len(split.train), scaled)
    return config.model_copy(update={"held_out": held_out, "recipe": recipe})


def scale(recipe: Recipe, recordings: int, fields: Collection[str]) -> Recipe:
    """Return the recipe with these fields fitted to the number of recordings, and tell it."""
    fitted = scaled_recipe(recipe, recordings)
    changes = {
        name: getattr(fitted, name)
        for name in fields
        if getattr(fitted, name) != getattr(recipe, name)
    }
    if changes:
        told = ", ".join(
            f"{name.replace('_', ' ')} {value} instead of {getattr(recipe, name)}"
            for name, value in sorted(changes.items())
        )
        log.info("few recordings (%d to learn from): %s", recordings, told)
    return replace(recipe, **changes)


def train(config: RunConfig, run: Run) -> RunRecord:
    """Train one network, or go on with it, and write `run.folder`.

    What a run needed to go on is removed at its end.

    Raises:
        CorpusError, SplitError, RunError, CheckpointError: see their modules.
    """
    recordings, labels = config.source.load(config.task)
    config = _complete(config, recordings)
    held_out = config.held_out or {}
    lock_run_config(run.folder, config)
    if has_weights(run.folder):
        return load_run(run.folder)[1]
    inputs = log_mel_config(config.recipe, config.window)
    distilled = config.recipe.distillation_weight > 0
    data = prepare(
        recordings,
        held_out,
        sample_rate=inputs.sample_rate,
        cache=config.cache,
        unlabelled=config.source.load_unlabelled(config.task) if distilled else (),
    )
    require_measured(data.split, recordings)
    backgrounds = None
    if config.recipe.corruption_probability:
        backgrounds = load_training_backgrounds(
            config.source.path,
            config.task,
            data.split.train,
            sample_rate=inputs.sample_rate,
            cache=config.cache,
        )
    network, pretraining = train_model(
        data,
        labels,
        inputs,
        config.recipe,
        run,
        network=config.network,
        seed=config.seed,
        pretrained=config.pretrained,
        teacher=config.teacher,
        backgrounds=backgrounds,
    )
    heard = [*data.split.train, *data.unlabelled]
    training = card.Training(
        corpora=corpora_of(heard),
        held_out=held_out,
        skipped_clips=data.skipped,
        epochs=config.recipe.epochs,
        recipe=asdict(config.recipe),
        seed=config.seed,
        pretrained=pretraining.description if pretraining else None,
    )
    groups = frozenset(recording.group for recording in heard)
    if pretraining is not None:
        groups |= pretraining.groups
        if pretraining.training is not None:
            training = _with_origin(training, pretraining.training)
    record = RunRecord(labels=labels, input=inputs, training=training)
    save_run(run.folder, record, network, groups)
    (run.folder / LAST).unlink(missing_ok=True)
    shutil.rmtree(run.folder / _VIEWS, ignore_errors=True)
    return record


def _with_origin(training: card.Training, origin: card.Training) -> card.Training:
    """Add the corpora that the initial weights were trained on, and what they held out of those.

    They were heard too, and their licences hold for what was learned from them.
    """
    own = {corpus.name for corpus in training.corpora}
    before = [corpus for corpus in origin.corpora if corpus.name not in own]
    names = {corpus.name for corpus in before}
    held_out = {name: folds for name, folds in origin.held_out.items() if name in names}
    return training.model_copy(
        update={
            "corpora": (*training.corpora, *before),
            "held_out": {**held_out, **training.held_out},
        }
    )


def train_model(
    data: TrainingData,
    labels: Sequence[str],
    inputs: LogMelConfig,
    recipe: Recipe,
    run: Run,
    *,
    network: str,
    seed: int,
    pretrained: Path | None,
    teacher: Path | None = None,
    backgrounds: Backgrounds | None = None,
) -> tuple[AudioClassifier, Pretraining | None]:
    """Fit a network to the training side, or go on where `run.folder` holds a part of it.

    Args:
        data: both sides of the split; the test side is only watched.
        labels: in the order of the network's outputs.
        inputs: of the network.
        recipe: hyperparameters.
        run: where and how it runs.
        network: name in `training.networks.NETWORKS`.
        seed: of everything random.
        pretrained: to start from, see `training.pretrained.load_start`; None: at random.
        teacher: folder of the checkpoint whose predictions are learned from; None: as the recipe
            says.
        backgrounds: for the recipe's corruptions.

    Returns:
        the network, and the origin of the weights it started from, if not random.

    Raises RunError when the pretrained weights are none, or were trained on a test recording.
    """
    split, waveforms = data.split, data.waveforms
    clips = AugmentedClips(split.train, waveforms, [inputs], recipe, data.unlabelled, backgrounds)
    dataset = _dataset(clips, data, labels, inputs, recipe, run, seed, teacher, backgrounds)
    training = balanced_loader(
        dataset,
        clips.weights,
        batch_size=recipe.batch_size,
        seed=seed,
        workers=run.workers,
    )
    held_out = DataLoader(
        EvalDataset(split.test, waveforms, inputs, labels), batch_size=recipe.batch_size
    )
    torch.manual_seed(seed)
    model = build_network(network, len(labels), dropout=recipe.dropout)
    pretraining = None
    if pretrained is not None:

        def clips_to_unfold() -> Tensor:
            drawn = np.random.default_rng(seed).permutation(len(split.train))[:_UNFOLDING_CLIPS]
            first = FirstClipDataset([split.train[i] for i in drawn], waveforms, inputs)
            return torch.stack([first[i] for i in range(len(first))])

        pretraining = load_start(pretrained, model, labels, split, clips_to_unfold)
    schedule = Schedule(seed, pretrained=pretraining is not None)
    features = dataset.embedding_features if isinstance(dataset, ViewsDataset) else 0
    module = (
        TaughtClassifierModule(model, recipe, schedule, len(labels), features)
        if features
        else ClassifierModule(model, recipe, schedule, len(labels))
    )
    fit(module, training, held_out, run)
    return module.network, pretraining


def _dataset(
    clips: AugmentedClips,
    data: TrainingData,
    labels: Sequence[str],
    inputs: LogMelConfig,
    recipe: Recipe,
    run: Run,
    seed: int,
    teacher: Path | None,
    backgrounds: Backgrounds | None,
) -> SampledDataset:
    soft_labels: SoftLabelTeacher | None = None
    if recipe.distillation_weight:
        soft_labels = (
            YamnetTeacher(data.split.train, data.waveforms, labels, seed)
            if teacher is None
            else CheckpointTeacher(store.load_folder(teacher), labels, data.split.test)
        )
    if recipe.views:
        require_labels(data.split.train, labels)
        recordings, waveforms = clips.recordings, data.waveforms
        views = Views(run.folder / _VIEWS, len(recordings), recipe.views, inputs)
        views.fill(recordings, waveforms, inputs, recipe, backgrounds, seed)
        predictions = embeddings = None
        if soft_labels is not None:
            kept = run.folder / _VIEWS / "predictions.npy"
            predictions = ask_all(soft_labels.predict_proba, recordings, waveforms, kept)
        if recipe.embedding_weight and isinstance(soft_labels, CheckpointTeacher):
            kept = run.folder / _VIEWS / "embeddings.npy"
            embeddings = ask_all(soft_labels.embed, recordings, waveforms, kept)
        return ViewsDataset(
            views, recordings, labels, predictions, clips.weights, inputs, recipe, embeddings
        )
    if soft_labels is None:
        return AugmentedDataset(clips, labels)
    return DistilledDataset(clips, labels, soft_labels, recipe.distillation_weight)


def corpora_of(recordings: Sequence[LabeledRecording]) -> tuple[card.Corpus, ...]:
    """Return what a card says of the corpora that recordings are from."""
    by_name: dict[str, list[LabeledRecording]] = defaultdict(list)
    for recording in recordings:
        by_name[recording.corpus].append(recording)
    return tuple(
        card.Corpus(
            name=name,
            licence=licence(name),
            clips=len(of_corpus),
            groups=len({recording.group for recording in of_corpus}),
        )
        for name, of_corpus in sorted(by_name.items())
    )
