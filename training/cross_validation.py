"""`earshot train --folds`: one training for each set of held-out folds, and their mean."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from app.checkpoints import store
from earshot.schemas import FrozenModel, Scores
from training.card_tables import markdown_table
from training.corpora import LabeledRecording
from training.evaluate import Evaluator, evaluate
from training.experiments.statistics import Interval, mean_interval
from training.export import export
from training.fit import Run
from training.pretrained import heard_groups, require_start, require_unheard
from training.report import write_report
from training.runs import FP32_MODEL, WEIGHTS, RunConfig, RunError, lock_run_config
from training.splits import Folds, Split, k_folds, official_folds
from training.train import train

log = logging.getLogger(__name__)

FoldCount = int | Literal["official"]

RESULTS = "folds.json"


class _CrossValidationConfig(RunConfig):
    """The options of all trainings."""

    folds: FoldCount


class FoldScores(FrozenModel):
    """The scores of the checkpoint that was trained without one set of folds."""

    held_out: dict[str, tuple[str, ...]]
    scores: Scores


class CrossValidation(FrozenModel):
    """The scores of all folds: written into the run's folder, and read by one that goes on."""

    protocol: str
    folds: tuple[FoldScores, ...]
    """those that have been measured"""
    accuracy: Interval | None = None
    uar: Interval | None = None
    macro_f1: Interval | None = None
    """means over the folds with Student's 95 % interval; None until all are measured. The folds
    share most of what they learned from, so that the interval is somewhat narrow (Bengio and
    Grandvalet, 2004)"""


def locked_config(config: RunConfig, folds: FoldCount) -> RunConfig:
    """Return what the run's folder is locked to."""
    return _CrossValidationConfig(**dict(config), folds=folds)


def is_measured(folder: Path) -> bool:
    """Return whether all folds of the run in `folder` have been measured."""
    path = folder / RESULTS
    return path.is_file() and _read(path, "").accuracy is not None


def cross_validate(config: RunConfig, folds: FoldCount, run: Run, command: str) -> CrossValidation:
    """Train, quantise and measure one checkpoint for each set of folds, or go on where it stopped.

    Each fold keeps its options, log and report; weights and graphs go once they are measured.

    Args:
        config: of all trainings, but for `held_out` and `store`.
        folds: how many, or those of UrbanSound8K.
        run: its folder gets `folds.json` and a folder for each fold.
        command: the command line, to stand beside the metrics.

    Raises:
        SplitError: a label could not be learned or measured in one of the folds.
        RunError: the weights to start from, or the teacher, heard a recording; for all of them
            are measured on.
        CorpusError, CheckpointError, OSError: see `training.train` and `training.export`.
    """
    recordings, _ = config.source.load(config.task)
    drawn = (
        official_folds(recordings)
        if folds == "official"
        else k_folds(recordings, folds, config.seed)
    )
    _require_unheard(config, recordings)
    lock_run_config(run.folder, locked_config(config, folds))
    path = run.folder / RESULTS
    result = _read(path, _protocol(config.task, folds, len(drawn)))
    for number, held_out in enumerate(drawn, start=1):
        if number <= len(result.folds):
            continue
        log.info("fold %d of %d", number, len(drawn))
        scores = _measure(
            config, held_out, replace(run, folder=run.folder / f"fold-{number}"), command
        )
        done = (*result.folds, FoldScores(held_out=dict(held_out), scores=scores))
        result = result.model_copy(update={"folds": done})
        _write(path, result)
    names = ("accuracy", "uar", "macro_f1")
    means = {
        name: mean_interval([getattr(fold.scores, name) for fold in result.folds]) for name in names
    }
    result = result.model_copy(update=means)
    _write(path, result)
    return result


def scores_table(result: CrossValidation) -> str:
    """Return the scores of each fold and their means, in Markdown."""
    rows = []
    for number, fold in enumerate(result.folds, start=1):
        scores = fold.scores
        figures = (f"{value:.1%}" for value in (scores.accuracy, scores.uar, scores.macro_f1))
        rows.append((str(number), str(scores.clips), str(scores.groups), *figures))
    means = (
        "" if each is None else f"{each.mean:.1%} ({each.low:.1%} to {each.high:.1%})"
        for each in (result.accuracy, result.uar, result.macro_f1)
    )
    clips = sum(fold.scores.clips for fold in result.folds)
    groups = sum(fold.scores.groups for fold in result.folds)
    rows.append(("mean (95 %)", str(clips), str(groups), *means))
    heading = ("fold", "clips", "groups", "accuracy", "UAR", "macro F1")
    return f"{result.protocol}\n\n{markdown_table(heading, rows)}"


def _require_unheard(config: RunConfig, recordings: Sequence[LabeledRecording]) -> None:
    """Raise RunError when what is learned from heard a recording: all are measured on."""
    if config.pretrained is not None:
        require_start(config.pretrained, config.network, Split(train=[], test=list(recordings)))
    if config.teacher is not None:
        heard = heard_groups(store.load_folder(config.teacher).card.training, recordings)
        require_unheard(config.teacher, heard, frozenset(each.group for each in recordings))


def _measure(config: RunConfig, held_out: Folds, run: Run, command: str) -> Scores:
    """Train and measure the checkpoint of one fold, and remove all of it but the report."""
    folder = run.folder
    own_store = folder / "store"
    names = {corpus: tuple(folds) for corpus, folds in held_out.items()}
    train(config.model_copy(update={"held_out": names, "store": own_store}), run)
    checkpoint = export(folder)
    evaluator = Evaluator(config.source, config.cache, command)
    _, [evaluation] = evaluate(checkpoint, evaluator, None, [])
    write_report(evaluation, folder / "report")
    shutil.rmtree(own_store)
    for name in (WEIGHTS, FP32_MODEL):
        (folder / name).unlink()
    return evaluation.metrics.overall


def _protocol(task: str, folds: FoldCount, count: int) -> str:
    kind = (
        f"the {count} official folds"
        if folds == "official"
        else f"{count} folds, stratified by label, with speakers or sources kept together"
    )
    return f"{task}: cross-validated over {kind}; each is measured by an int8 graph of its own"


def _read(path: Path, protocol: str) -> CrossValidation:
    """Return what has been measured so far; raise RunError when the file is damaged."""
    if not path.is_file():
        return CrossValidation(protocol=protocol, folds=())
    try:
        return CrossValidation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"{path}: {error}") from error


def _write(path: Path, result: CrossValidation) -> None:
    new = path.with_suffix(".new")
    new.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    new.replace(path)
