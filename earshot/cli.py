"""`earshot`: the command line."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import training.cli
from app.audio.stft import WINDOWS
from training.tasks import TASKS
from earshot import DEFAULT_SERVER

_EPILOG = """\
What is in some recordings, as a running service answers, or without one:
  earshot classify --task urban-sound street.wav RECORDINGS/
  earshot classify --task emotion --local --format json voice.m4a

The other commands need the training packages: pip install 'earshot[training]'. DIR holds the
corpora in the folders of their official downloads: UrbanSound8K, ESC-50-master, RAVDESS,
EmoDB, TESS, nEMO, URDU, CREMA-D, SAVEE, GTZAN. Those that are missing are left out.

A first checkpoint, from recordings to a running service:
  earshot pretrain --data DIR
  earshot train --task urban-sound --window hann --data DIR \\
      --pretrained runs/pretrain/pretrained.safetensors
  EARSHOT_MODELS_DIR=runs/store make serve

The same from your own recordings and labels, a folder for each label; --task says which
endpoint shall answer with them:
  earshot train --task urban-sound --folders MY_RECORDINGS
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; errors of the user's data end it with a line for each and status 1."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(arguments)
    if options.command == "classify":
        # Not imported above: --help need not wait for it.
        from earshot import classify  # noqa: PLC0415

        try:
            classify.run(options)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read the answers has had enough, as `head` has. Python would complain when
            # it flushes at the end: docs.python.org/3/library/signal.html#note-on-sigpipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
    elif options.command == "key":
        from earshot import key  # noqa: PLC0415

        key.run(options)
    else:
        training.cli.run(options, "earshot " + shlex.join(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="earshot",
        description="Say what is in recordings; train, export and measure the checkpoints.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_classify(commands)
    _add_key(commands)
    training.cli.add_commands(commands)
    return parser


def _add_classify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "classify",
        help="say what is in recordings",
        description="Name the emotion in voices or the sounds of a street. The answers go to "
        "stdout; a file that cannot be classified is told on stderr, does not stop the others "
        "and makes the exit status 1.",
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="recordings, or folders of recordings, which are searched to any depth",
    )
    parser.add_argument("--task", choices=TASKS, required=True, help="what to listen for")
    parser.add_argument(
        "--window", choices=WINDOWS, default="hann", help="analysis window (default: hann)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--server",
        default=DEFAULT_SERVER,
        metavar="URL",
        help=f"the service to ask (default: {DEFAULT_SERVER})",
    )
    where.add_argument("--local", action="store_true", help="ask no service, classify here")
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help="for a service that wants one (default: EARSHOT_API_KEY, which other users of this "
        "machine do not see)",
    )
    parser.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="where checkpoints are, with --local (default: EARSHOT_MODELS_DIR, or the store "
        "that Earshot comes with)",
    )
    parser.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="(default: table)"
    )
    parser.add_argument(
        "--top-k", type=_top_k, default=3, metavar="N", help="labels for each file (default: 3)"
    )


def _add_key(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "key",
        help="make an API key",
        description="Make a new API key for a service. The key goes to stdout, to be given to "
        "whoever shall use it; its line for EARSHOT_API_KEYS_FILE goes to stderr. Neither is kept.",
    )
    parser.add_argument("name", metavar="NAME", help="whose it is, for the service's log")
    parser.add_argument(
        "--admin", action="store_true", help="let it use /admin, too: reload the store"
    )


def _top_k(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"expected 1 to 100, got {text!r}")
    return int(text)
