"""`earshot train`: labelled recordings in, the weights of one network out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from app.audio.log_mel import LogMelConfig
from app.checkpoints import card
from training.corpora import LabeledRecording, licence
from training.data_source import TrainingData, prepare
from training.dataset import (
    AugmentedClips,
    AugmentedDataset,
    DistilledDataset,
    EvalDataset,
    SampledDataset,
)
from training.fit import ClassifierModule, Run, Schedule, balanced_loader, fit
from training.networks import AudioClassifier, build_network
from training.pretrained import Pretraining, load_pretrained
from training.recipes import Recipe, log_mel_config
from training.runs import RunConfig, RunRecord, lock_run_config, save_run
from training.splits import default_held_out
from training.teachers.soft_labels import SoftLabelTeacher


def train(config: RunConfig, run: Run) -> RunRecord:
    """Train one network, or go on with it, and write `run.folder`.

    Everything that can be wrong with the data is found before the first step.

    Raises:
        CorpusError, SplitError, RunError: see their modules.
    """
    recordings, labels = config.source.load(config.task)
    folds = config.held_out or default_held_out(recordings, config.task, config.seed)
    held_out = {corpus: tuple(names) for corpus, names in folds.items()}
    lock_run_config(run.folder, config.model_copy(update={"held_out": held_out}))
    inputs = log_mel_config(config.recipe, config.window)
    distilled = config.recipe.distillation_weight > 0
    data = prepare(
        recordings,
        held_out,
        sample_rate=inputs.sample_rate,
        cache=config.cache,
        unlabelled=config.source.load_unlabelled(config.task) if distilled else (),
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
    )
    record = RunRecord(
        labels=labels,
        input=inputs,
        training=card.Training(
            corpora=_corpora([*data.split.train, *data.unlabelled]),
            held_out=held_out,
            skipped_clips=data.skipped,
            epochs=config.recipe.epochs,
            recipe=asdict(config.recipe),
            seed=config.seed,
            pretrained=pretraining.description if pretraining else None,
        ),
    )
    save_run(run.folder, record, network)
    return record


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
        pretrained: weights of `earshot pretrain` to start from; None: at random.

    Returns:
        the network, and the origin of the weights it started from, if not random.

    Raises RunError when the pretrained weights are none, or were trained on a test recording.
    """
    split, waveforms = data.split, data.waveforms
    clips = AugmentedClips(split.train, waveforms, [inputs], recipe, data.unlabelled)
    training = balanced_loader(
        _dataset(clips, data, labels, recipe, seed),
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
        test_groups = frozenset(recording.group for recording in split.test)
        pretraining = load_pretrained(pretrained, model, test_groups)
    schedule = Schedule(seed, pretrained=pretraining is not None)
    module = ClassifierModule(model, recipe, schedule, len(labels))
    fit(module, training, held_out, run)
    return module.network, pretraining


def _dataset(
    clips: AugmentedClips, data: TrainingData, labels: Sequence[str], recipe: Recipe, seed: int
) -> SampledDataset:
    if not recipe.distillation_weight:
        return AugmentedDataset(clips, labels)
    teacher = SoftLabelTeacher(data.split.train, data.waveforms, labels, seed)
    return DistilledDataset(clips, labels, teacher, recipe.distillation_weight)


def _corpora(recordings: Sequence[LabeledRecording]) -> tuple[card.Corpus, ...]:
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
