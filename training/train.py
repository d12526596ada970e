"""`earshot train`: a corpus in, the weights of one task and window out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from app.audio.log_mel import LogMelConfig
from app.audio.stft import WindowName
from app.checkpoints import card
from training.tasks import TaskName
from training.corpora import Clip, licence
from training.data_source import Material, Source, prepare
from training.dataset import AugmentedClips, DrawnExamples, FirstClips, TrainingSet, TutoredSet
from training.fit import ClassifierLearner, Run, Schedule, balanced_loader, fit
from training.held_out import Folds, standard_folds
from training.networks.resnet import ResNetAudioClassifier
from training.pretrained import Pretraining, start_from
from training.recipes import Recipe, log_mel_config
from training.runs import RunRecord, claim, save_run
from training.teachers.soft_labels import Tutor


@dataclass(frozen=True)
class Job:
    """What to train."""

    task: TaskName
    window: WindowName
    source: Source
    cache: Path
    """decoded recordings are kept here between runs"""
    recipe: Recipe
    held_out: Folds | None
    """corpus -> folds or speakers; None: the task's own, or a fifth of the groups"""
    pretrained: Path | None


def train(job: Job, run: Run) -> RunRecord:
    """Train one network, or go on with it, and write `run.folder`.

    Everything that can be wrong with the data is found before the first step.

    Raises:
        CorpusError, SplitError, RunError: see their modules.
    """
    config = log_mel_config(job.recipe, job.window)
    clips, labels = job.source.load(job.task)
    held_out_folds = job.held_out or standard_folds(clips, job.task, run.seed)
    claim(run.folder, {**asdict(job), "held_out": held_out_folds, "seed": run.seed})
    material = prepare(
        clips,
        held_out_folds,
        sample_rate=config.sample_rate,
        cache=job.cache,
        unlabelled=job.source.load_unlabelled(job.task) if job.recipe.tutor_share else (),
    )
    network, pretraining = learn(
        material, labels, config, job.recipe, run, pretrained=job.pretrained
    )
    record = RunRecord(
        task=job.task,
        labels=labels,
        input=config,
        training=card.Training(
            corpora=_corpora([*material.train, *material.unlabelled]),
            held_out={name: tuple(folds) for name, folds in held_out_folds.items()},
            skipped_clips=material.skipped,
            epochs=job.recipe.epochs,
            recipe=asdict(job.recipe),
            seed=run.seed,
            pretrained=pretraining.description if pretraining else None,
        ),
    )
    save_run(run.folder, record, network)
    return record


def learn(
    material: Material,
    labels: Sequence[str],
    config: LogMelConfig,
    recipe: Recipe,
    run: Run,
    *,
    pretrained: Path | None,
) -> tuple[ResNetAudioClassifier, Pretraining | None]:
    """Fit a network to `material.train`, or go on where `run.folder` holds a part of it.

    Returns:
        the network, and what its weights started from, if not at random.

    Raises RunError when the pretrained weights are none, or have heard a clip of the test.
    """
    inputs = AugmentedClips(
        material.train, material.waveforms, [config], recipe, material.unlabelled
    )
    training = balanced_loader(
        _examples(inputs, material, labels, recipe, run.seed), inputs.weights, recipe, run
    )
    held_out = DataLoader(
        FirstClips(material.test, material.waveforms, config, labels),
        batch_size=recipe.batch_size,
    )
    torch.manual_seed(run.seed)
    network = ResNetAudioClassifier(len(labels), dropout=recipe.dropout)
    pretraining = None
    if pretrained is not None:
        test_groups = frozenset(clip.group for clip in material.test)
        pretraining = start_from(pretrained, network, test_groups)
    schedule = Schedule(run.seed, pretrained=pretraining is not None)
    learner = ClassifierLearner(network, recipe, schedule, len(labels))
    fit(learner, training, held_out, run)
    return learner.network, pretraining


def _examples(
    inputs: AugmentedClips, material: Material, labels: Sequence[str], recipe: Recipe, seed: int
) -> DrawnExamples:
    if not recipe.tutor_share:
        return TrainingSet(inputs, labels)
    tutor = Tutor(material.train, material.waveforms, labels, seed)
    return TutoredSet(inputs, labels, tutor, recipe.tutor_share)


def _corpora(clips: Sequence[Clip]) -> tuple[card.Corpus, ...]:
    by_name: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_name[clip.corpus].append(clip)
    return tuple(
        card.Corpus(
            name=name,
            licence=licence(name),
            clips=len(of_corpus),
            groups=len({clip.group for clip in of_corpus}),
        )
        for name, of_corpus in sorted(by_name.items())
    )
