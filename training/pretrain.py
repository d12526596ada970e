"""`earshot pretrain`: weights to start from, the same for all windows."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from app.audio.stft import WINDOWS
from training.tasks import LABELS, TaskName
from training.corpora import load_corpora
from training.dataset import AugmentedClips, TrainingSet
from training.distill import DistillationSet
from training.fit import (
    ClassifierLearner,
    DistillationLearner,
    Learner,
    Run,
    Schedule,
    balanced_loader,
    fit,
)
from training.held_out import Folds, all_standard_folds
from training.networks.resnet import ResNetAudioClassifier
from training.pretrained import Pretraining, save_pretrained, start_from
from training.recipes import Recipe, log_mel_config
from training.runs import claim
from training.splits import hold_out, require_labels
from training.teachers.yamnet import EMBEDDING_SIZE, Yamnet
from training.waveforms import decode_all, readable

WEIGHTS = "pretrained.safetensors"


@dataclass(frozen=True)
class PretrainingJob:
    """What to pretrain."""

    corpora: tuple[str, ...]
    """names of `training.corpora.CORPORA`; those without a folder in `data` are left out"""
    task: TaskName | None
    """learn the labels of this task; None: learn YAMNet's embedding, without labels"""
    data: Path
    cache: Path
    """decoded recordings are kept here between runs"""
    recipe: Recipe
    held_out: Folds | None
    """folds to leave out, with all clips that share a group with them, so that a network that
    starts from the result has never heard what it will be tested on; None: what tasks hold out"""
    pretrained: Path | None
    """weights to start from"""


def pretrain(job: PretrainingJob, run: Run) -> Path:
    """Teach a network to hear, for others to start from.

    Each crop is seen through a window drawn at random, so that no window is at an advantage
    in what starts from the result.

    Returns:
        the file of weights, for `earshot train --pretrained`.

    Raises:
        CorpusError, SplitError, RunError: see their modules.
    """
    configs = [log_mel_config(job.recipe, window) for window in WINDOWS]
    clips = load_corpora(job.data, job.corpora)
    if job.task is not None:
        require_labels(clips, LABELS[job.task])
    folds = job.held_out or all_standard_folds(clips, run.seed)
    claim(run.folder, {**asdict(job), "held_out": folds, "seed": run.seed})
    waveforms = decode_all(clips, sample_rate=configs[0].sample_rate, cache=job.cache)
    split = hold_out(readable(clips, waveforms), folds)
    inputs = AugmentedClips(split.train, waveforms, configs, job.recipe)
    torch.manual_seed(run.seed)
    outputs = EMBEDDING_SIZE if job.task is None else len(LABELS[job.task])
    network = ResNetAudioClassifier(outputs, dropout=job.recipe.dropout)
    heard = frozenset(clip.group for clip in split.train)
    before = None
    if job.pretrained is not None:
        before = start_from(job.pretrained, network, frozenset())
        heard |= before.heard
    examples = (
        DistillationSet(inputs, Yamnet(), run.seed)
        if job.task is None
        else TrainingSet(inputs, LABELS[job.task])
    )
    loader = balanced_loader(examples, inputs.weights, job.recipe, run)
    # Whether it goes on or starts anew: the whole network is still to be learned.
    schedule = Schedule(run.seed, pretrained=False)
    fit(_learner(network, job, schedule), loader, None, run)
    path = run.folder / WEIGHTS
    save_pretrained(path, network, Pretraining(_description(job.task, before), heard))
    return path


def _learner(network: ResNetAudioClassifier, job: PretrainingJob, schedule: Schedule) -> Learner:
    if job.task is None:
        return DistillationLearner(network, job.recipe, schedule)
    return ClassifierLearner(network, job.recipe, schedule, len(LABELS[job.task]))


def _description(task: TaskName | None, before: Pretraining | None) -> str:
    here = "YAMNet's embedding, without labels" if task is None else f"the labels of {task}"
    return here if before is None else f"{before.description}; then {here}"
