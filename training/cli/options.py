"""Options that commands share, and the types of their values."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from training.tasks import require_name

DEFAULT_START = "default"
"""in place of a path of weights to start from"""
LOGGERS = ("csv", "tensorboard", "wandb", "mlflow")
"""names in `training.loggers`"""
_LONGEST_CLIP_SECONDS = 30.0
"""of Whisper"""


def add_source(group: argparse._MutuallyExclusiveGroup, prefix: str = "") -> None:
    """Add where recordings are: corpora, or own folders."""
    group.add_argument("--data", type=Path, metavar="DIR", help=f"{prefix}the corpora")
    group.add_argument(
        "--folders",
        type=Path,
        metavar="DIR",
        help=f"{prefix}your own recordings and labels instead: DIR/LABEL/FILE, or "
        "DIR/LABEL/SPEAKER/FILE where recordings of one speaker or session must stay together",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the corpora."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the corpora")


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add the folder of decoded recordings."""
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("runs/cache"),
        metavar="DIR",
        help="where decoded recordings are kept (default: runs/cache)",
    )


def add_pretrained(parser: argparse.ArgumentParser) -> None:
    """Add the weights to start from."""
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="PATH",
        help=f"weights to start from: {DEFAULT_START}, those of the checkpoint of the task that "
        "comes with Earshot, or of urban-sound/hann; STORE/TASK/CHECKPOINT; the folder of a "
        "finished run; or a file of earshot pretrain (default: at random)",
    )


def add_out(parser: argparse.ArgumentParser, default: str, content: str) -> None:
    """Add the folder that is written."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(default),
        metavar="DIR",
        help=f"where to write {content} (default: {default})",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the store."""
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("runs/store"),
        metavar="DIR",
        help="where checkpoints are (default: runs/store)",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add the seed."""
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")


def add_run(parser: argparse.ArgumentParser, default: str) -> None:
    """Add a run's folder, and how it runs."""
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"the run's folder (default: {default})"
    )
    add_hold_out(parser)
    add_seed(parser)
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="GPUs to train on together, each with batches of its own, or processes without GPUs "
        "(default: all GPUs, or one process)",
    )
    parser.add_argument(
        "--logger",
        action="append",
        choices=LOGGERS,
        help="where curves are written; may be repeated (default: csv and tensorboard, in the "
        "run's folder)",
    )


def add_leave_out(parser: argparse.ArgumentParser, corpora: Sequence[str]) -> None:
    """Add the corpora that a training does without."""
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        choices=corpora,
        metavar="CORPUS",
        help="a corpus that is neither trained nor tested on; may be repeated",
    )


def add_name(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the name of the checkpoint that is written."""
    parser.add_argument(
        "--name",
        type=checkpoint_name,
        default=default,
        help=f"of the checkpoint within its task (default: {default})",
    )


def add_hold_out(parser: argparse.ArgumentParser) -> None:
    """Add what is kept for measuring."""
    parser.add_argument(
        "--hold-out",
        action="append",
        type=held_out_fold,
        metavar="CORPUS:FOLD[,FOLD]",
        help="folds or speakers to keep for measuring; may be repeated (default: the task's own, "
        "see training/tasks.py, or a fifth of them where the data has not all of those)",
    )


def clip_seconds(text: str) -> float:
    """Return the length of a clip that Whisper can read; for argparse."""
    seconds = _number(text)
    if not 0 < seconds <= _LONGEST_CLIP_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected more than 0 and at most {_LONGEST_CLIP_SECONDS:g}, got {text!r}"
        )
    return seconds


def fraction(text: str) -> float:
    """Return a number from 0 to 1; for argparse."""
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected 0 to 1, got {text!r}")
    return number


def positive(text: str) -> float:
    """Return a number greater than 0; for argparse."""
    number = _number(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text!r}")
    return number


def non_negative(text: str) -> float:
    """Return a number from 0; for argparse."""
    number = _number(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text!r}")
    return number


def whole(text: str) -> int:
    """Return a whole number from 0; for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def positive_int(text: str) -> int:
    """Return a whole number from 1; for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text!r}")
    return int(text)


def fold_count(text: str) -> int | str:
    """Return a number of folds, or `official`; for argparse."""
    if text != "official" and (not text.isdecimal() or int(text) < 2):
        raise argparse.ArgumentTypeError(f"expected 2 or more, or official, got {text!r}")
    return text if text == "official" else int(text)


def seed_count(text: str) -> int:
    """Return a number of seeds that has a spread; for argparse."""
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected 2 or more, got {text!r}")
    return int(text)


def checkpoint_name(text: str) -> str:
    """Return the name of a task or a checkpoint; for argparse."""
    try:
        return require_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def window_name(text: str) -> str:
    """Return the name of an analysis window; for argparse."""
    from app.audio.stft import WINDOWS  # noqa: PLC0415

    if text not in WINDOWS:
        known = ", ".join(WINDOWS)
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {known})")
    return text


def held_out_fold(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a corpus, and folds of it; for argparse."""
    corpus, colon, folds = text.partition(":")
    if not (corpus and colon and folds):
        raise argparse.ArgumentTypeError(f"expected CORPUS:FOLD[,FOLD], got {text!r}")
    return corpus, tuple(folds.split(","))
