"""The function behind each command of the training package."""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import CheckpointError, ModelKey
from training.audio_encoder import fit_audio_encoder
from training.card_tables import measured_cards
from training.cli.config import print_config
from training.cli.options import DEFAULT_START
from training.cli.recipe_flags import changed_recipe
from training.corpora import CORPORA, CorpusError
from training.corpora.csv_tables import URBANSOUND8K
from training.corpora.folders import CORPUS as FOLDERS
from training.corruptions.backgrounds import CorruptionError
from training.corruptions.files import corrupt_file
from training.cross_validation import (
    cross_validate,
    is_measured,
    locked_config,
    scores_table,
)
from training.data_source import DataSource
from training.edge.graph import embed_card
from training.edge.student import train_student
from training.evaluate import Evaluator, evaluate
from training.experiments.genre_analysis import analyze_genres, genre_folders
from training.experiments.genre_figures import write_analysis
from training.experiments.windowing import (
    REFERENCE,
    TASK,
    WindowingExperiment,
    comparison_table,
)
from training.export import export
from training.extended_evaluation import ExtendedEvaluator, require_metrics, write_metrics
from training.fit import Run, default_workers
from training.lengths import lengths_table
from training.loggers import require_loggers
from training.networks import EDGE_NETWORKS
from training.portable import export_portable
from training.pretrain import PretrainingConfig, pretrain
from training.pretrained import default_start
from training.recipes import (
    EMBEDDING_DISTILLATION,
    Recipe,
    label_pretraining,
    recipe_for,
    student_recipe,
    taught_recipe,
)
from training.report import write_report
from training.robustness import QUICK_RECORDINGS
from training.robustness_report import corruption_table, draw_robustness, robustness_report
from training.runs import (
    FP32_MODEL,
    RunConfig,
    RunError,
    choose_run_folder,
    has_weights,
    load_config,
)
from training.splits import SplitError
from training.tasks import TASKS
from training.train import plan, scale, train

log = logging.getLogger(__name__)

USER_ERRORS = (CorpusError, SplitError, RunError, CheckpointError, CorruptionError, OSError)

_RUNS = Path("runs")
_CACHE, _STORE = _RUNS / "cache", _RUNS / "store"


def _pretrain(options: argparse.Namespace, _: str) -> None:
    task = options.task
    folder = options.out or _RUNS / ("pretrain" if task is None else f"pretrain-{task}")
    of_task = tuple(CORPORA) if task is None else TASKS[task].corpora
    config = PretrainingConfig(
        corpora=tuple(name for name in of_task if name in (options.corpora or of_task)),
        task=task,
        data=options.data.absolute(),
        cache=options.cache.absolute(),
        recipe=_adjusted(
            EMBEDDING_DISTILLATION if task is None else label_pretraining(task), options
        ),
        held_out=_held_out(options),
        pretrained=options.pretrained and options.pretrained.absolute(),
        seed=options.seed,
    )
    log.info("wrote %s", pretrain(config, _run(folder, options)))


def _train(options: argparse.Namespace, command: str) -> None:
    if options.folds and options.hold_out:
        raise SplitError("--folds holds out every fold in turn: leave --hold-out out")
    options.logger = options.logger or list(Run.loggers)
    require_loggers(options.logger)
    if not (options.folds or options.print_config):
        store.require_writable(options.store)
    config = _training_config(options)
    if options.print_config:
        print_config(config, options)
        return
    base = _RUNS / f"{config.task}-{config.name}"
    if options.folds:
        locked = locked_config(config, options.folds)
        base = base.with_name(f"{base.name}-folds")
        folder = options.out or choose_run_folder(base, locked, is_measured)
        result = cross_validate(config, options.folds, _run(folder, options), command)
        sys.stdout.write(scores_table(result))
        log.info("wrote %s", folder)
        return
    folder = options.out or choose_run_folder(base, config, _is_measured)
    log.info("the run's folder is %s", folder)
    train(config, _run(folder, options))
    evaluator = Evaluator(config.source, config.cache, command)
    _measure(export(folder), evaluator, folder)


def _training_config(options: argparse.Namespace) -> RunConfig:
    """Return the options of a training, complete but for what each of several folds has."""
    is_student = options.network in EDGE_NETWORKS
    recipe = (student_recipe if is_student else recipe_for)(options.task)
    if options.teacher is not None and not recipe.views:
        recipe = taught_recipe(recipe)
    config = RunConfig(
        task=options.task,
        name=options.name or options.window,
        network=options.network,
        window=options.window,
        source=_source(options),
        recipe=changed_recipe(recipe, options),
        held_out=_held_out(options),
        seed=options.seed,
        pretrained=_start(options, options.task, options.window),
        teacher=options.teacher and options.teacher.absolute(),
        cache=options.cache.absolute(),
        store=options.store.absolute(),
    )
    scaled = [name for name in ("batch_size", "epochs") if getattr(options, name) is None]
    if not options.folds:
        return plan(config, scaled=scaled)
    recordings, _ = config.source.load(config.task)
    return config.model_copy(update={"recipe": scale(config.recipe, len(recordings), scaled)})


def _is_measured(run: Path) -> bool:
    return has_weights(run) and (run / "report").is_dir()


def _measure(checkpoint: store.Checkpoint, evaluator: Evaluator, run: Path) -> None:
    """Measure the checkpoint of a run, and show how good it is."""
    measured, [evaluation] = evaluate(checkpoint, evaluator, run / FP32_MODEL, [])
    write_report(evaluation, run / "report")
    _show(measured.card)


def _fine_tune(options: argparse.Namespace, command: str) -> None:
    # Loads transformers and NNCF, for which no other command should wait.
    from training.fine_tuning.command import fine_tune, make_config  # noqa: PLC0415

    config = make_config(
        data=options.data,
        encoder=options.encoder,
        layers=options.layers,
        clip_seconds=options.clip_seconds,
        steps=options.steps,
        batch_size=options.batch_size,
        leave_out=options.leave_out,
        seed=options.seed,
        cache=options.cache,
        store=options.store,
        name=options.name,
    )
    checkpoint = fine_tune(config, options.run)
    if checkpoint is not None:
        evaluator = Evaluator(DataSource(config.data), config.cache, command)
        _measure(checkpoint, evaluator, options.run)


def _refit_head(options: argparse.Namespace, _: str) -> None:
    # Loads transformers.
    from training.fine_tuning import TASK  # noqa: PLC0415
    from training.fine_tuning.refit import refit  # noqa: PLC0415

    store.require_writable(options.store)
    checkpoint = refit(
        options.store,
        ModelKey(TASK, options.checkpoint),
        DataSource(options.data.absolute()),
        cache=options.cache,
        seed=options.seed,
    )
    log.info("wrote %s; earshot evaluate fills in its metrics", checkpoint.folder)


def _fit_audio_encoder(options: argparse.Namespace, command: str) -> None:
    store.require_writable(options.store)
    source, key = _source(options), ModelKey(options.task, options.name)
    run = options.out or _RUNS / f"{key.task}-{key.name}"
    checkpoint = fit_audio_encoder(
        source,
        key,
        _held_out(options),
        options.store,
        run,
        aisfx_weights=options.aisfx,
        cache=options.cache,
        seed=options.seed,
    )
    _measure(checkpoint, Evaluator(source, options.cache, command), run)


def _export(options: argparse.Namespace, _: str) -> None:
    run = options.run
    if options.format:
        named = store.load_folder(run).key if (run / store.CARD).is_file() else None
        default = run / "export" if named is None else _RUNS / f"export-{named.task}-{named.name}"
        for path in export_portable(run, options.format, options.out or default):
            log.info("wrote %s", path)
        return
    if options.out:
        raise RunError("--out is for --format; --store says where a checkpoint is written")
    if options.edge:
        run = train_student(run, default_workers())
    checkpoint = export(run, options.store, weights=options.weights)
    log.info("wrote %s; earshot evaluate %s fills in its metrics", checkpoint.folder, run)


def _evaluate(options: argparse.Namespace, command: str) -> None:
    named = options.task or options.checkpoint or options.data or options.folders
    if options.run is not None and not named:
        config = load_config(options.run)
        key, source = ModelKey(config.task, config.name), config.source
        cache, root, out = config.cache, config.store, options.run / "report"
        kept = options.run / FP32_MODEL
        fp32 = kept if kept.is_file() else None
    else:
        key, source = _checkpoint_key(options), _source(options)
        cache, root, out = _CACHE, _STORE, _RUNS / f"report-{key.task}-{key.name}"
        fp32 = None
    checkpoint = store.load(options.store or root, key)
    siblings = [store.load(sibling, key) for sibling in options.sibling]
    further = (options.corruptions, options.protocol, options.slices, options.ood, options.lengths)
    if any(further):
        extended = ExtendedEvaluator(source, options.cache or cache)
        _evaluate_further(options, command, checkpoint, siblings, extended, options.out or out)
        return
    evaluator = Evaluator(source, options.cache or cache, command)
    folder = options.out or out
    if source.folder_per_label and FOLDERS not in checkpoint.card.training.held_out:
        unseen = evaluator.evaluate_unseen(checkpoint)
        write_report(unseen, folder)
        _show(checkpoint.card.model_copy(update={"metrics": unseen.metrics, "sibling_metrics": ()}))
        log.info("wrote %s; the card stays as it is", folder)
        return
    checkpoint, evaluations = evaluate(checkpoint, evaluator, options.fp32 or fp32, siblings)
    for number, evaluation in enumerate(evaluations):
        write_report(evaluation, folder / f"sibling-{number}" if number else folder)
    _show(checkpoint.card)
    log.info("wrote %s", folder)


def _evaluate_further(
    options: argparse.Namespace,
    command: str,
    checkpoint: store.Checkpoint,
    siblings: Sequence[store.Checkpoint],
    evaluator: ExtendedEvaluator,
    out: Path,
) -> None:
    """Measure what one of the options asks for, and write it into the card."""
    if options.lengths:
        short = evaluator.measure_lengths(checkpoint, command, options.recordings)
        card = checkpoint.card.model_copy(update={"short": short})
        embed_card(store.replace_card(checkpoint, card))
        sys.stdout.write(lengths_table(short))
        return
    require_metrics(checkpoint)
    update: Mapping[str, object]
    if options.corruptions:
        robustness = evaluator.measure_corruptions(
            checkpoint,
            out / ("corruptions-quick" if options.quick else "corruptions"),
            count=QUICK_RECORDINGS if options.quick else options.recordings,
            seed=options.seed,
            noise=options.noise,
            speech=options.speech,
        )
        if options.quick:
            sys.stdout.write(corruption_table({str(checkpoint.key): robustness}))
            log.info("%d recordings: the card stays as it is", robustness.recordings)
            return
        update = {"robustness": robustness}
    elif options.protocol:
        update = evaluator.measure_protocol(checkpoint, options.protocol, siblings)
    elif options.slices:
        update = {"slices": evaluator.measure_slices(checkpoint)}
    else:
        metrics = checkpoint.card.metrics
        families = evaluator.measure_ood_families(checkpoint)
        assert metrics is not None
        assert metrics.ood is not None
        update = {"ood": metrics.ood.model_copy(update={"by_family": families})}
    checkpoint = write_metrics(checkpoint, update, command, options.protocol)
    sys.stdout.write(robustness_report([checkpoint.card]))


def _robustness(options: argparse.Namespace, _: str) -> None:
    cards = [card for card, _ in measured_cards(options.store)]
    sys.stdout.write(robustness_report(cards))
    options.out.mkdir(parents=True, exist_ok=True)
    for path in draw_robustness(cards, options.out):
        log.info("wrote %s", path)


def _checkpoint_key(options: argparse.Namespace) -> ModelKey:
    """Return the checkpoint that was named in place of a run; raise RunError if none was."""
    complete = options.task and options.checkpoint and (options.data or options.folders)
    if options.run is not None or not complete:
        raise RunError(
            "name a RUN, or a checkpoint by --task, --checkpoint and --data or --folders"
        )
    return ModelKey(options.task, options.checkpoint)


def _corrupt(options: argparse.Namespace, _: str) -> None:
    corrupt_file(
        options.input,
        options.output,
        options.kind,
        options.severity,
        noise=options.noise,
        seed=options.seed,
    )
    log.info("wrote %s", options.output)


def _compare_windows(options: argparse.Namespace, _: str) -> None:
    root = options.data / URBANSOUND8K.folder
    experiment = WindowingExperiment(
        root / URBANSOUND8K.audio,
        root / URBANSOUND8K.table,
        held_out=options.fold,
        seeds=range(options.seeds),
        pretrained=_start(options, TASK, REFERENCE),
        out=options.out,
        cache=options.cache,
    )
    sys.stdout.write(comparison_table(experiment.evaluate_all(options.epochs)))
    for path in experiment.plot_results():
        log.info("wrote %s", path)


def _analyze_genres(options: argparse.Namespace, _: str) -> None:
    folders = genre_folders(options.music)
    options.out.mkdir(parents=True, exist_ok=True)
    analysis = analyze_genres(folders)
    write_analysis(analysis, options.out)
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
    "fine-tune": _fine_tune,
    "refit-head": _refit_head,
    "fit-audio-encoder": _fit_audio_encoder,
    "export": _export,
    "evaluate": _evaluate,
    "corrupt": _corrupt,
    "robustness": _robustness,
    "compare-windows": _compare_windows,
    "analyze-genres": _analyze_genres,
}


def _source(options: argparse.Namespace) -> DataSource:
    path = options.data or options.folders
    return DataSource(
        path.absolute(),
        folder_per_label=options.folders is not None,
        left_out=tuple(getattr(options, "leave_out", ())),
    )


def _held_out(options: argparse.Namespace) -> dict[str, tuple[str, ...]] | None:
    return dict(options.hold_out) if options.hold_out else None


def _start(options: argparse.Namespace, task: str, window: str) -> Path | None:
    """Return what a training starts from, where it is not at random."""
    given: Path | None = options.pretrained
    if given == Path(DEFAULT_START):
        return default_start(task, window)
    return given and given.absolute()


def _run(folder: Path, options: argparse.Namespace) -> Run:
    loggers = tuple(options.logger or Run.loggers)
    require_loggers(loggers)
    return Run(folder, default_workers(), options.devices or "auto", loggers)


def _adjusted(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    return replace(
        recipe,
        epochs=options.epochs or recipe.epochs,
        batch_size=options.batch_size or recipe.batch_size,
    )


def _show(card: Card) -> None:
    """Print the metrics of a card as a table."""
    if card.metrics is None:
        return
    table = Table(title=f"{card.task}/{card.name}")
    for heading in ("clips of", "clips", "groups", "accuracy", "UAR", "macro F1"):
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
