"""The commands of the training package, as the command line of Earshot adds them."""

import argparse
import importlib.util
import logging
import sys
from pathlib import Path

from training.corpora import CORPORA
from training.corruptions import CORRUPTIONS, SEVERITIES
from training.tasks import PROTOCOLS, TASKS, require_name

# `--help` needs none of the packages that commands need: nothing here imports them.

_NEEDED = {"fine-tune": ("lightning", "transformers", "nncf")}
"""packages of the commands that need more than Lightning"""
_LONGEST_CLIP_SECONDS = 30.0
"""of Whisper"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that train and measure to the command line."""
    _add_pretrain(commands)
    _add_train(commands)
    _add_fine_tune(commands)
    _add_export(commands)
    _add_evaluate(commands)
    _add_corrupt(commands)
    _add_robustness(commands)
    _add_tables(commands)
    _add_compare_windows(commands)
    _add_analyze_genres(commands)


def run(options: argparse.Namespace, command: str) -> None:
    """Run the command that was parsed into `options` from the command line `command`.

    Raises SystemExit with a message where the user's data is not as it should be, or the
    training packages are missing.
    """
    needed = _NEEDED.get(options.command, ("lightning",))
    if any(importlib.util.find_spec(package) is None for package in needed):
        sys.exit(
            "earshot: the training packages are missing: "
            "run `make training` in a checkout of Earshot"
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
        help="make weights to start from, from all corpora, without labels",
        description="Train a ResNet50 to predict the embedding of YAMNet, a network that knows "
        "521 kinds of sound, on every corpus below DIR; or, with --task, the labels of a task. "
        "Each crop goes through a window drawn at random, so that all windows start equal. What "
        "the tasks hold out is left out here too.",
    )
    parser.add_argument(
        "--task", choices=TASKS, help="learn the labels of this task (default: YAMNet's embedding)"
    )
    _add_data(parser)
    _add_cache(parser)
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
    parser.add_argument(
        "--task",
        type=_name,
        required=True,
        metavar="TASK",
        help=f"with --data, one of {', '.join(TASKS)}; with --folders, a name of your own",
    )
    # Checked where it is used: the windows' module loads NumPy.
    parser.add_argument(
        "--window",
        type=_window,
        default="hann",
        metavar="WINDOW",
        help="analysis window: hann, hamming or rectangular (default: hann)",
    )
    parser.add_argument(
        "--name", type=_name, help="of the checkpoint within its task (default: the window's)"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    _add_source(source)
    _add_cache(parser)
    _add_store(parser)
    _add_run(parser, "runs/TASK-NAME")


def _add_fine_tune(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "fine-tune",
        help="fine-tune a speech encoder for emotion",
        description="Fine-tune the first layers of a speech encoder for the task emotion, measure "
        "it on the speakers that were held out, and write model.fp32.onnx and model.onnx into "
        "RUN. An interrupted run goes on. The service cannot serve these graphs yet.",
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="the corpora")
    parser.add_argument(
        "encoder",
        metavar="ENCODER",
        help="model.bin of a Whisper for CTranslate2; or a Whisper, wav2vec 2.0, HuBERT or WavLM "
        "for transformers, as a folder or by its name on the hub",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    _add_cache(parser)
    parser.add_argument(
        "--layers",
        type=_positive_int,
        default=5,
        metavar="N",
        help="of the encoder that are kept, from the first (default: 5)",
    )
    parser.add_argument(
        "--clip-seconds",
        type=_clip_seconds,
        default=4.0,
        metavar="S",
        help="length of the clips that are classified (default: 4)",
    )
    parser.add_argument(
        "--steps", type=_positive_int, default=1_000, metavar="N", help="(default: 1000)"
    )
    parser.add_argument(
        "--batch-size",
        type=_positive_int,
        default=20,
        metavar="N",
        help="of each process (default: 20)",
    )
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        choices=TASKS["emotion"].corpora,
        metavar="CORPUS",
        help="a corpus to keep for measuring as a whole; may be repeated",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "export",
        help="quantise a finished run into a store",
        description="Write the int8 graph and card of a finished run into a store. The card has "
        "no metrics until earshot evaluate has run.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument(
        "--weights",
        action="store_true",
        help="add the weights before quantisation (47 MB), for EARSHOT_ENGINE=torch on a GPU",
    )
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where checkpoints are (default: the run's)"
    )


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a checkpoint and write its card",
        description="Classify the recordings that were held out of a checkpoint's training, as "
        "the service would, and write metrics, temperature and OOD threshold into its card. The "
        "checkpoint is the one that a RUN exported or, without RUN, one of a store.",
    )
    parser.add_argument(
        "run", type=Path, nargs="?", metavar="RUN", help="the folder of a run that was exported"
    )
    parser.add_argument(
        "--task", type=_name, metavar="TASK", help="without RUN: the checkpoint's task"
    )
    parser.add_argument(
        "--checkpoint",
        type=_name,
        metavar="NAME",
        help="without RUN: the checkpoint's name in its task",
    )
    _add_source(parser.add_mutually_exclusive_group(), "without RUN: ")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where decoded recordings are kept (default: the run's, or runs/cache)",
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="where checkpoints are (default: the run's, or runs/store)",
    )
    parser.add_argument(
        "--sibling",
        type=Path,
        action="append",
        default=[],
        metavar="STORE",
        help="a store with the same task and name, trained by the same recipe with other "
        "recordings held out; its metrics join the card; may be repeated",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where to write metrics.json, predictions.csv and confusion.png "
        "(default: RUN/report, or runs/report-TASK-NAME)",
    )
    parser.add_argument(
        "--fp32",
        type=Path,
        metavar="FILE",
        help="the graph before quantisation, to measure the loss by it "
        "(default: RUN/model.fp32.onnx)",
    )
    _add_further_measurements(parser)


def _add_further_measurements(parser: argparse.ArgumentParser) -> None:
    """Add the options that measure something else than the held-out recordings as they are."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--corruptions",
        action="store_true",
        help="classify the held-out recordings under nine kinds of corruption, three severities "
        "each; an interrupted run goes on",
    )
    chosen.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        help="classify what training never heard: held-out speakers or sources of each corpus; "
        "new corpora; corpora or languages that each --sibling was trained without; or tags of "
        "street recordings",
    )
    chosen.add_argument(
        "--slices",
        action="store_true",
        help="score the held-out recordings by sex of the speaker, intensity of the emotion, "
        "length and signal-to-noise ratio",
    )
    chosen.add_argument(
        "--ood",
        action="store_true",
        help="score how music, speech, household, animals and machines are rejected",
    )
    sample = parser.add_mutually_exclusive_group()
    sample.add_argument(
        "--quick",
        action="store_true",
        help="with --corruptions: 100 recordings, printed and not written into the card",
    )
    sample.add_argument(
        "--recordings",
        type=_positive_int,
        metavar="N",
        help="with --corruptions: draw so many, labels and groups in proportion (default: all)",
    )
    parser.add_argument(
        "--noise",
        type=Path,
        metavar="DIR",
        help="with --corruptions: other sounds for the background (default: ESC-50's)",
    )
    parser.add_argument(
        "--speech",
        type=Path,
        metavar="DIR",
        help="with --corruptions: voices for the background (default: the held-out speakers)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="with --corruptions: of all randomness (default: 0)"
    )


def _add_robustness(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "robustness",
        help="print and draw how a store's checkpoints hold under corruptions and elsewhere",
        description="Print what earshot evaluate --corruptions, --protocol, --slices and --ood "
        "have written into a store's cards, as Markdown, and draw robustness.png and ood.png.",
    )
    _add_store(parser)
    _add_out(parser, "runs/robustness", "the figures")


def _add_corrupt(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "corrupt",
        help="corrupt a recording as evaluate --corruptions does, to listen to it",
        description="Write a copy of a recording with noise, in a room, over a telephone and so "
        "on, mono with 16 bits, as earshot evaluate --corruptions hears it.",
    )
    parser.add_argument("input", type=Path, metavar="IN", help="a recording")
    parser.add_argument("output", type=Path, metavar="OUT", help="the WAV or FLAC file to write")
    parser.add_argument("--kind", choices=CORRUPTIONS, required=True, help="of the corruption")
    parser.add_argument(
        "--severity", type=int, choices=SEVERITIES, required=True, help="from 1, mild, to 3"
    )
    parser.add_argument(
        "--noise",
        type=Path,
        metavar="DIR",
        help="recordings for the background, to any depth; for the kinds noise and speech",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")


def _add_tables(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "tables",
        help="print the metrics of a store's cards, as Markdown",
        description="Print the scores, calibration, OOD metrics and recalls of a store's cards.",
    )
    _add_store(parser)


def _add_compare_windows(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "compare-windows",
        help="train through each window, and compare",
        description="Train on UrbanSound8K with each window and several seeds, all else being "
        "equal, and compare their predictions on the held-out folds: means and confidence "
        "intervals, a paired bootstrap and McNemar's test, differences per class, confusion "
        "matrices. Finished runs are not repeated; an interrupted one goes on.",
    )
    _add_data(parser)
    _add_cache(parser)
    _add_pretrained(parser)
    parser.add_argument(
        "--epochs", type=int, default=5, help="of each run, the same for all (default: 5)"
    )
    parser.add_argument(
        "--seeds", type=_seed_count, default=3, help="runs of each window, at least 2 (default: 3)"
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
        help="measure and draw genres of music through each window",
        description="Measure and draw recordings of music: spectrograms of each genre through "
        "each window, and centroid, bandwidth, roll-off, flatness, contrast, zero crossings, "
        "tempo and MFCC means.",
    )
    parser.add_argument(
        "--music", type=Path, required=True, metavar="DIR", help="holds DIR/GENRE/FILE"
    )
    _add_out(parser, "runs/genres", "genres.json and the figures")


def _add_source(group: argparse._MutuallyExclusiveGroup, prefix: str = "") -> None:
    group.add_argument("--data", type=Path, metavar="DIR", help=f"{prefix}the corpora")
    group.add_argument(
        "--folders",
        type=Path,
        metavar="DIR",
        help=f"{prefix}your own recordings and labels instead: DIR/LABEL/FILE, or "
        "DIR/LABEL/SPEAKER/FILE where recordings of one speaker or session must stay together",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the corpora")


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


def _add_out(parser: argparse.ArgumentParser, default: str, content: str) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(default),
        metavar="DIR",
        help=f"where to write {content} (default: {default})",
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
        "see training/tasks.py, or a fifth of them where the data has not all of those)",
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


def _clip_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_CLIP_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected more than 0 and at most {_LONGEST_CLIP_SECONDS:g}, got {text!r}"
        )
    return seconds


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text!r}")
    return int(text)


def _seed_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected 2 or more, got {text!r}")
    return int(text)


def _name(text: str) -> str:
    try:
        return require_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _window(text: str) -> str:
    from app.audio.stft import WINDOWS  # noqa: PLC0415

    if text not in WINDOWS:
        known = ", ".join(WINDOWS)
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {known})")
    return text


def _fold(text: str) -> tuple[str, tuple[str, ...]]:
    corpus, colon, folds = text.partition(":")
    if not (corpus and colon and folds):
        raise argparse.ArgumentTypeError(f"expected CORPUS:FOLD[,FOLD], got {text!r}")
    return corpus, tuple(folds.split(","))
