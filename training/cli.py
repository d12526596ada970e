"""The commands of the training package."""

import argparse
import importlib.util
import logging
import sys
from pathlib import Path

from app.audio.stft import WINDOWS
from training.tasks import TASKS
from training.corpora import CORPORA


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that train and measure to the command line."""
    _add_pretrain(commands)
    _add_train(commands)
    _add_export(commands)
    _add_evaluate(commands)
    _add_tables(commands)
    _add_compare_windows(commands)
    _add_analyze_genres(commands)


def run(options: argparse.Namespace, command: str) -> None:
    """Run the command that was parsed into `options`; `command` is how it was typed.

    Raises SystemExit with a message where the user's data is not as it should be, or the
    training packages are missing.
    """
    if importlib.util.find_spec("lightning") is None:
        sys.exit(
            f"earshot: {options.command} needs the training packages: "
            "pip install 'earshot[training]'"
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    # Heavy, torch and all: --help should not wait for it, nor fail without it.
    from training import commands  # noqa: PLC0415

    # Lightning sets its own level when imported, tips and advertisements included.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        commands.COMMANDS[options.command](options, command)
    except commands.USER_ERRORS as error:
        sys.exit(f"earshot: {error}")


def _add_pretrain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "pretrain",
        help="teach a network to hear, from all corpora, without labels",
        description="Train a ResNet50 to predict the embedding of YAMNet, a large tagger of "
        "sounds, on every corpus below DIR; or, with --task, the labels of a task. Each crop is "
        "seen through a window drawn at random, so that all windows start equal. What the tasks "
        "hold out is left out here too.",
    )
    parser.add_argument(
        "--task", choices=TASKS, help="learn the labels of this task (default: YAMNet's embedding)"
    )
    _add_data(parser)
    _add_run(parser, "runs/pretrain or runs/pretrain-TASK")
    parser.add_argument(
        "--corpora",
        nargs="+",
        choices=tuple(CORPORA),
        metavar="CORPUS",
        help=f"which to learn from (default: all of {', '.join(CORPORA)}; of the task, with one)",
    )


def _add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "train",
        help="train a checkpoint: fit, export, evaluate",
        description="Fit a ResNet50, export it as an int8 graph into a store and measure it on "
        "the speakers or recordings that were held out. An interrupted run goes on.",
    )
    parser.add_argument("--task", choices=TASKS, required=True, help="what to listen for")
    _add_window(parser)
    _add_source(parser)
    _add_store(parser)
    _add_run(parser, "runs/TASK-WINDOW")


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "export",
        help="quantise a finished run into a store",
        description="Write the int8 graph and card of a finished run into a store. The card has "
        "no metrics until earshot evaluate has run.",
    )
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="a finished run")
    parser.add_argument(
        "--weights",
        action="store_true",
        help="add the weights before quantisation (47 MB), for EARSHOT_ENGINE=torch on a GPU",
    )
    _add_source(parser)
    _add_store(parser)


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a checkpoint and write its card",
        description="Answer the clips that were held out of a checkpoint's training, as the "
        "service would, and write metrics and temperature into its card.",
    )
    parser.add_argument("--task", choices=TASKS, required=True)
    _add_window(parser)
    _add_source(parser)
    _add_store(parser)
    parser.add_argument(
        "--sibling",
        type=Path,
        action="append",
        default=[],
        metavar="STORE",
        help="a store with the same task and window, trained by the same recipe with other "
        "recordings held out; its figures join the card; may be repeated",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where to write metrics.json, answers.csv and confusion.png "
        "(default: runs/report-TASK-WINDOW)",
    )
    parser.add_argument(
        "--fp32",
        type=Path,
        metavar="FILE",
        help="the graph before quantisation (RUN/model.fp32.onnx), to measure what that cost",
    )


def _add_tables(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "tables",
        help="print what the cards of a store say, as Markdown",
        description="Print the figures, calibration and recalls that the cards of a store hold.",
    )
    _add_store(parser)


def _add_compare_windows(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "compare-windows",
        help="does the window matter? train through each of them, and compare",
        description="Train on UrbanSound8K with each window and several seeds, all else being "
        "equal, and compare what they answer on the held-out folds: means and confidence "
        "intervals, a paired bootstrap and McNemar's test, differences per class, confusion "
        "matrices. Finished runs are not repeated; an interrupted one goes on.",
    )
    _add_data(parser)
    _add_pretrained(parser)
    parser.add_argument(
        "--epochs", type=int, default=5, help="of each run, the same for all (default: 5)"
    )
    parser.add_argument(
        "--seeds", type=_repeats, default=3, help="runs of each window, at least 2 (default: 3)"
    )
    parser.add_argument(
        "--fold",
        nargs="+",
        default=["1"],
        help="official folds to measure on (default: 1)",
    )
    _add_out(parser, "runs/windowing", "runs, windowing.json, windowing.csv and figures")


def _add_analyze_genres(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "analyze-genres",
        help="what genres of music look like, and what the window changes of that",
        description="Measure and draw recordings of music: spectrograms of each genre through "
        "each window, and centroid, bandwidth, roll-off, flatness, contrast, zero crossings, "
        "tempo and MFCC means.",
    )
    parser.add_argument(
        "--music", type=Path, required=True, metavar="DIR", help="holds DIR/GENRE/FILE"
    )
    _add_out(parser, "runs/genres", "genres.json and the figures")


def _add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--window", choices=WINDOWS, default="hann", help="analysis window (default: hann)"
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="DIR", help="the corpora")
    source.add_argument(
        "--folders",
        type=Path,
        metavar="DIR",
        help="your own recordings and labels instead: DIR/LABEL/FILE, or DIR/LABEL/SPEAKER/FILE "
        "where recordings of one speaker or session must stay together",
    )
    _add_cache(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the corpora")
    _add_cache(parser)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("runs/cache"),
        metavar="DIR",
        help="where decoded recordings are kept (default: runs/cache)",
    )


def _add_pretrained(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="FILE",
        help="weights from earshot pretrain to start from (default: at random)",
    )


def _add_out(parser: argparse.ArgumentParser, default: str, what: str) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(default),
        metavar="DIR",
        help=f"where to write {what} (default: {default})",
    )


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("runs/store"),
        metavar="DIR",
        help="where checkpoints are (default: runs/store)",
    )


def _add_run(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"the run's folder (default: {default})"
    )
    _add_pretrained(parser)
    parser.add_argument(
        "--hold-out",
        action="append",
        type=_fold,
        metavar="CORPUS:FOLD[,FOLD]",
        help="folds or speakers to keep for measuring; may be repeated (default: the task's own, "
        "see training/recipes.py, or a fifth of them where the data has not all of those)",
    )
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="GPUs to train on together, each with batches of its own, or processes without GPUs "
        "(default: all GPUs, or one process)",
    )


def _repeats(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected 2 or more, got {text!r}")
    return int(text)


def _fold(text: str) -> tuple[str, tuple[str, ...]]:
    corpus, colon, folds = text.partition(":")
    if not (corpus and colon and folds):
        raise argparse.ArgumentTypeError(f"expected CORPUS:FOLD[,FOLD], got {text!r}")
    return corpus, tuple(folds.split(","))
