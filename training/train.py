"""`earshot train`: a corpus in, the weights of one task and window out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from app.audio.windows import WindowName
from app.checkpoints import card
from app.checkpoints.labels import LABELS, TaskName
from training.data import AugmentedClips, FirstClips, TrainingSet
from training.datasets import CORPORA, Clip, load_task
from training.fit import ClassifierLearner, Run, Schedule, balanced_loader, fit
from training.held_out import Folds, standard_folds
from training.network import ResNetAudioClassifier
from training.pretrained import start_from
from training.recipes import Recipe, front_end
from training.runs import RunRecord, claim, save_run
from training.splits import hold_out
from training.waveforms import decode_all, readable


@dataclass(frozen=True)
class Job:
    """What to train."""

    task: TaskName
    window: WindowName
    data: Path
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
    labels = LABELS[job.task]
    parameters = front_end(job.recipe, job.window)
    clips = load_task(job.data, job.task)
    held_out_folds = job.held_out or standard_folds(clips, job.task, run.seed)
    claim(run.folder, {**asdict(job), "held_out": held_out_folds, "seed": run.seed})
    hold_out(clips, held_out_folds)  # an impossible split is told before the long decoding
    waveforms = decode_all(clips, sample_rate=parameters.sample_rate, cache=job.cache)
    usable = readable(clips, waveforms)
    split = hold_out(usable, held_out_folds)

    inputs = AugmentedClips(split.train, waveforms, parameters, job.recipe)
    training = balanced_loader(TrainingSet(inputs, labels), inputs.weights, job.recipe, run)
    held_out = DataLoader(
        FirstClips(split.test, waveforms, parameters, labels), batch_size=job.recipe.batch_size
    )
    torch.manual_seed(run.seed)
    network = ResNetAudioClassifier(len(labels), dropout=job.recipe.dropout)
    pretraining = None
    if job.pretrained is not None:
        test_groups = frozenset(clip.group for clip in split.test)
        pretraining = start_from(job.pretrained, network, test_groups)
    schedule = Schedule(len(training) * job.recipe.epochs, run.seed, pretraining is not None)
    learner = ClassifierLearner(network, job.recipe, schedule, len(labels))
    fit(learner, training, held_out, run)

    record = RunRecord(
        task=job.task,
        labels=labels,
        front_end=parameters,
        training=card.Training(
            corpora=_corpora(split.train),
            held_out={name: tuple(folds) for name, folds in held_out_folds.items()},
            skipped_clips=len(clips) - len(usable),
            epochs=job.recipe.epochs,
            seed=run.seed,
            pretrained=pretraining.description if pretraining else None,
        ),
    )
    save_run(run.folder, record, learner.network)
    return record


def _corpora(clips: Sequence[Clip]) -> tuple[card.Corpus, ...]:
    by_name: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_name[clip.corpus].append(clip)
    return tuple(
        card.Corpus(
            name=name,
            licence=CORPORA[name].LICENCE,
            clips=len(of_corpus),
            groups=len({clip.group for clip in of_corpus}),
        )
        for name, of_corpus in sorted(by_name.items())
    )
