"""`earshot pretrain`: weights to start from, the same for all windows."""

from pathlib import Path

import torch

from app.audio.stft import WINDOWS
from earshot.schemas import FrozenModel
from training.corpora import load_corpora
from training.dataset import AugmentedClips, AugmentedDataset
from training.embedding_distillation import EmbeddingDataset
from training.fit import (
    LAST,
    ClassifierModule,
    EmbeddingDistillationModule,
    Run,
    Schedule,
    TrainingModule,
    balanced_loader,
    fit,
)
from training.networks import DEFAULT_NETWORK, AudioClassifier, build_network
from training.pretrained import Pretraining, load_pretrained, save_pretrained
from training.recipes import Recipe, log_mel_config
from training.runs import lock_run_config
from training.splits import held_out_of_all_tasks, hold_out, require_labels
from training.tasks import TASKS
from training.teachers.yamnet import EMBEDDING_SIZE, Yamnet
from training.waveforms import decode_all, readable

WEIGHTS = "pretrained.safetensors"


class PretrainingConfig(FrozenModel):
    """The options of one pretraining."""

    corpora: tuple[str, ...]
    """names in `training.corpora.CORPORA`; those without a folder in `data` are left out"""
    task: str | None
    """learn the labels of this task of `TASKS`; None: YAMNet's embedding, without labels"""
    data: Path
    cache: Path
    """folder for decoded recordings"""
    recipe: Recipe
    held_out: dict[str, tuple[str, ...]] | None
    """folds to leave out, with all recordings that share a group with them, so that a network
    that starts from the result was never trained on what it is tested on; None: those that the
    tasks hold out"""
    pretrained: Path | None
    """weights to start from"""
    seed: int


def pretrain(config: PretrainingConfig, run: Run) -> Path:
    """Train a network for others to start from.

    Each crop is transformed with a window drawn at random, so that no window is at an advantage
    in what starts from the result.

    Returns:
        the file of weights, for `earshot train --pretrained`.

    Raises:
        CorpusError, SplitError, RunError: see their modules.
    """
    recipe, seed = config.recipe, config.seed
    labels = None if config.task is None else TASKS[config.task].labels
    inputs = [log_mel_config(recipe, window) for window in WINDOWS]
    recordings = load_corpora(config.data, config.corpora)
    if labels is not None:
        require_labels(recordings, labels)
    folds = config.held_out or held_out_of_all_tasks(recordings, seed)
    lock_run_config(run.folder, config.model_copy(update={"held_out": folds}))
    path = run.folder / WEIGHTS
    if path.is_file():
        return path
    waveforms = decode_all(recordings, sample_rate=inputs[0].sample_rate, cache=config.cache)
    split = hold_out(readable(recordings, waveforms), folds)
    clips = AugmentedClips(split.train, waveforms, inputs, recipe)
    torch.manual_seed(seed)
    outputs = EMBEDDING_SIZE if labels is None else len(labels)
    network = build_network(DEFAULT_NETWORK, outputs, dropout=recipe.dropout)
    groups = frozenset(recording.group for recording in split.train)
    before = None
    if config.pretrained is not None:
        before = load_pretrained(config.pretrained, network, frozenset())
        groups |= before.groups
    dataset = (
        EmbeddingDataset(clips, Yamnet(), seed)
        if labels is None
        else AugmentedDataset(clips, labels)
    )
    loader = balanced_loader(
        dataset, clips.weights, batch_size=recipe.batch_size, seed=seed, workers=run.workers
    )
    fit(_module(network, config), loader, None, run)
    save_pretrained(path, network, Pretraining(_description(config.task, before), groups))
    (run.folder / LAST).unlink(missing_ok=True)
    return path


def _module(network: AudioClassifier, config: PretrainingConfig) -> TrainingModule:
    # Whether it goes on or starts anew: the whole network is still to be learned.
    schedule = Schedule(config.seed, pretrained=False)
    if config.task is None:
        return EmbeddingDistillationModule(network, config.recipe, schedule)
    return ClassifierModule(network, config.recipe, schedule, len(TASKS[config.task].labels))


def _description(task: str | None, before: Pretraining | None) -> str:
    now = "YAMNet's embedding, without labels" if task is None else f"the labels of {task}"
    return now if before is None else f"{before.description}; then {now}"
