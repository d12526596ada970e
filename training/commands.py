"""What each command of the command line does."""

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.errors import CheckpointError
from training.datasets import CorpusError
from training.distill import PretrainingJob, pretrain
from training.evaluate import evaluate
from training.export import export
from training.fit import Run, default_workers
from training.held_out import Folds
from training.recipes import PRETRAINING, RECIPES, Recipe
from training.runs import FP32_MODEL, RunError
from training.splits import SplitError
from training.train import Job, train

log = logging.getLogger(__name__)

USER_ERRORS = (CorpusError, SplitError, RunError, CheckpointError, OSError)


def _pretrain(options: argparse.Namespace, _: str) -> None:
    folder = options.out or Path("runs") / f"pretrain-{options.window}"
    job = PretrainingJob(
        corpora=tuple(options.corpora),
        window=options.window,
        data=options.data,
        cache=options.cache,
        recipe=_adjusted(PRETRAINING, options),
        held_out=_held_out(options),
        pretrained=options.pretrained,
    )
    log.info("wrote %s", pretrain(job, _run(folder, options)))


def _train(options: argparse.Namespace, command: str) -> None:
    folder = options.out or Path("runs") / f"{options.task}-{options.window}"
    job = Job(
        task=options.task,
        window=options.window,
        data=options.data,
        cache=options.cache,
        recipe=_adjusted(RECIPES[options.task], options),
        held_out=_held_out(options),
        pretrained=options.pretrained,
    )
    train(job, _run(folder, options))
    checkpoint = export(folder, options.data, options.cache, options.store)
    _show(evaluate(checkpoint, options.data, options.cache, command, folder / FP32_MODEL))


def _export(options: argparse.Namespace, _: str) -> None:
    checkpoint = export(options.run, options.data, options.cache, options.store)
    log.info("wrote %s; earshot evaluate fills in its metrics", checkpoint.folder)


def _evaluate(options: argparse.Namespace, command: str) -> None:
    checkpoint = store.load(options.store, options.task, options.window)
    _show(evaluate(checkpoint, options.data, options.cache, command, options.fp32))


COMMANDS: dict[str, Callable[[argparse.Namespace, str], None]] = {
    "pretrain": _pretrain,
    "train": _train,
    "export": _export,
    "evaluate": _evaluate,
}


def _held_out(options: argparse.Namespace) -> Folds | None:
    return dict(options.hold_out) if options.hold_out else None


def _run(folder: Path, options: argparse.Namespace) -> Run:
    return Run(folder, options.seed, default_workers())


def _adjusted(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    return replace(
        recipe,
        epochs=options.epochs or recipe.epochs,
        batch_size=options.batch_size or recipe.batch_size,
    )


def _show(checkpoint: store.Checkpoint) -> None:
    """Print a card's metrics as a table."""
    card: Card = checkpoint.card
    if card.metrics is None:
        return
    table = Table(title=f"{card.task}, {card.front_end.window}: {checkpoint.folder}")
    for heading in ("held-out clips of", "clips", "groups", "accuracy", "UAR", "macro F1"):
        table.add_column(heading)
    rows = {"all corpora": card.metrics.overall, **card.metrics.by_corpus}
    for name, scores in rows.items():
        figures = (scores.accuracy, scores.uar, scores.macro_f1)
        table.add_row(
            name, str(scores.clips), str(scores.groups), *(f"{figure:.1%}" for figure in figures)
        )
    console = Console()
    console.print(table)
    console.print(
        f"expected calibration error {card.metrics.expected_calibration_error:.1%}, "
        f"temperature {card.temperature:.2f}"
    )
    if card.metrics.accuracy_fp32 is not None:
        console.print(f"accuracy before quantisation {card.metrics.accuracy_fp32:.1%}")
