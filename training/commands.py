"""What each command of the command line does."""

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import CheckpointError
from training.corpora import CORPORA, TASK_CORPORA, CorpusError, urbansound8k
from training.data_source import Source
from training.evaluate import Evaluation, evaluate
from training.experiments.genres import analyze_genres, genre_folders
from training.experiments.windowing import WindowingExperiment, comparison_table
from training.export import export
from training.fit import Run, default_workers
from training.held_out import Folds
from training.pretrain import PretrainingJob, pretrain
from training.recipes import RECIPES, TEACHING, Recipe, label_pretraining
from training.report import write_report
from training.runs import FP32_MODEL, RunError
from training.splits import SplitError
from training.tables import (
    calibration_table,
    familiarity_table,
    figures_table,
    measured_cards,
    recall_table,
)
from training.train import Job, train

log = logging.getLogger(__name__)

USER_ERRORS = (CorpusError, SplitError, RunError, CheckpointError, OSError)


def _pretrain(options: argparse.Namespace, _: str) -> None:
    task = options.task
    folder = options.out or Path("runs") / ("pretrain" if task is None else f"pretrain-{task}")
    of_task = tuple(CORPORA) if task is None else tuple(TASK_CORPORA[task])
    job = PretrainingJob(
        corpora=tuple(name for name in of_task if name in (options.corpora or of_task)),
        task=task,
        data=options.data,
        cache=options.cache,
        recipe=_adjusted(TEACHING if task is None else label_pretraining(task), options),
        held_out=_held_out(options),
        pretrained=options.pretrained,
    )
    log.info("wrote %s", pretrain(job, _run(folder, options)))


def _train(options: argparse.Namespace, command: str) -> None:
    store.require_writable(options.store)
    folder = options.out or Path("runs") / f"{options.task}-{options.window}"
    job = Job(
        task=options.task,
        window=options.window,
        source=_source(options),
        cache=options.cache,
        recipe=_adjusted(RECIPES[options.task], options),
        held_out=_held_out(options),
        pretrained=options.pretrained,
    )
    train(job, _run(folder, options))
    checkpoint = export(folder, job.source, options.cache, options.store)
    evaluation = Evaluation(job.source, options.cache, command)
    checkpoint, [measurement] = evaluate(checkpoint, evaluation, folder / FP32_MODEL, [])
    write_report(measurement, folder / "report")
    _show(checkpoint)


def _export(options: argparse.Namespace, _: str) -> None:
    checkpoint = export(
        options.run, _source(options), options.cache, options.store, weights=options.weights
    )
    log.info("wrote %s; earshot evaluate fills in its metrics", checkpoint.folder)


def _evaluate(options: argparse.Namespace, command: str) -> None:
    checkpoint = store.load(options.store, options.task, options.window)
    siblings = [store.load(root, options.task, options.window) for root in options.sibling]
    evaluation = Evaluation(_source(options), options.cache, command)
    checkpoint, measurements = evaluate(checkpoint, evaluation, options.fp32, siblings)
    folder = options.out or Path("runs") / f"report-{options.task}-{options.window}"
    for number, measurement in enumerate(measurements):
        write_report(measurement, folder / f"sibling-{number}" if number else folder)
    _show(checkpoint)
    log.info("wrote %s", folder)


def _tables(options: argparse.Namespace, _: str) -> None:
    cards = measured_cards(options.store)
    for table in (figures_table, calibration_table, familiarity_table, recall_table):
        sys.stdout.write(table(cards) + "\n")


def _compare_windows(options: argparse.Namespace, _: str) -> None:
    root = options.data / urbansound8k.FOLDER
    experiment = WindowingExperiment(
        root / "audio",
        root / "metadata" / "UrbanSound8K.csv",
        held_out=options.fold,
        seeds=range(options.seeds),
        pretrained=options.pretrained,
        out=options.out,
        cache=options.cache,
    )
    sys.stdout.write(comparison_table(experiment.evaluate_all(options.epochs)))
    for path in experiment.plot_results():
        log.info("wrote %s", path)


def _analyze_genres(options: argparse.Namespace, _: str) -> None:
    analysis = analyze_genres(genre_folders(options.music), options.out)
    recordings = sum(len(genre.recordings) for genre in analysis.genres.values())
    log.info(
        "measured %d recordings of %d genres, skipped %d; wrote %s",
        recordings,
        len(analysis.genres),
        len(analysis.skipped),
        options.out,
    )


COMMANDS: dict[str, Callable[[argparse.Namespace, str], None]] = {
    "pretrain": _pretrain,
    "train": _train,
    "export": _export,
    "evaluate": _evaluate,
    "tables": _tables,
    "compare-windows": _compare_windows,
    "analyze-genres": _analyze_genres,
}


def _source(options: argparse.Namespace) -> Source:
    if options.folders is not None:
        return Source(options.folders, folder_per_class=True)
    return Source(options.data)


def _held_out(options: argparse.Namespace) -> Folds | None:
    return dict(options.hold_out) if options.hold_out else None


def _run(folder: Path, options: argparse.Namespace) -> Run:
    return Run(folder, options.seed, default_workers(), options.devices or "auto")


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
    table = Table(title=f"{card.task}, {card.input.window}: {checkpoint.folder}")
    for heading in ("held-out clips of", "clips", "groups", "accuracy", "UAR", "macro F1"):
        table.add_column(heading)
    rows = [("all corpora", card.metrics.overall), *card.metrics.by_corpus.items()]
    for sibling in card.sibling_metrics:
        rows += [(f"{name} (sibling)", scores) for name, scores in sibling.by_corpus.items()]
    for name, scores in rows:
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
