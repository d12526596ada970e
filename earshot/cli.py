"""`earshot`: the command line."""

import argparse
import math
import os
import runpy
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from earshot import DEFAULT_SERVER, __version__
from earshot.checkout import MissingPackagesError, is_here, require

_EPILOG = """\
Classify recordings, asking a service or, in a checkout of Earshot, without one:
  earshot classify --task urban-sound street.wav RECORDINGS/
  earshot classify --task emotion --local --format json voice.m4a
  earshot classify --task urban-sound --format audacity hour.flac > labels.txt
  curl -s https://HOST/clip.ogg | earshot classify --task urban-sound -
"""
_TRAINING_EPILOG = """
The commands that train need their packages: make install-training. DIR holds the corpora in the
folders of their official downloads: UrbanSound8K, ESC-50-master, RAVDESS, EmoDB, TESS, nEMO, URDU,
CREMA-D, SAVEE, GTZAN. Those that are missing are left out.

A first checkpoint, from recordings to a running service:
  earshot pretrain --data DIR
  earshot train --task urban-sound --window hann --data DIR \\
      --pretrained runs/pretrain/pretrained.safetensors
  earshot serve --store runs/store

A task of your own, from a folder of recordings for each label, in seconds or in hours:
  earshot fit MY_RECORDINGS --task machine-faults
  earshot train --task machine-faults --folders MY_RECORDINGS
"""
TRAINING_COMMANDS = (
    *(
        "fit",
        "pretrain",
        "train",
        "fine-tune",
        "refit-head",
        "fit-audio-encoder",
        "export",
        "push",
        "evaluate",
        "corrupt",
        "robustness",
    ),
    *("tables", "compare-windows", "analyze-genres"),
)
"""commands of the package `training`, which only a checkout has"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; errors of the user's data end it with a line for each and status 1."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments and arguments[0] in TRAINING_COMMANDS and not is_here("training"):
            require("training")
        options = _parser().parse_args(_expanded(arguments))
        _run(options, "earshot " + shlex.join(arguments))
    except MissingPackagesError as error:
        sys.exit(f"earshot: {error}")
    except BrokenPipeError:
        # Whoever read the answers has had enough, as `head` has. Python would complain when
        # it flushes at the end: docs.python.org/3/library/signal.html#note-on-sigpipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _expanded(arguments: list[str]) -> list[str]:
    if not is_here("training"):
        return arguments
    import training.cli  # noqa: PLC0415

    return training.cli.expand(arguments)


def _run(options: argparse.Namespace, command: str) -> None:
    # Modules are imported by the command that needs them: --help need not wait for them.
    if options.command == "classify":
        from earshot import classify  # noqa: PLC0415

        classify.run(options)
        sys.stdout.flush()
    elif options.command == "serve":
        _serve(options)
    elif options.command == "key":
        _make_key(options)
    else:
        import training.cli  # noqa: PLC0415

        training.cli.run(options, command)


def _serve(options: argparse.Namespace) -> None:
    require("app")
    store = None if options.store is None else options.store.resolve()
    settings = {"HOST": options.host, "PORT": options.port, "MODELS_DIR": store}
    os.environ |= {
        f"EARSHOT_{name}": str(value) for name, value in settings.items() if value is not None
    }
    # As `python -m app` does, which workers of the service start again under that name.
    runpy.run_module("app", run_name="__main__", alter_sys=True)


def _make_key(options: argparse.Namespace) -> None:
    require("app")
    from app.api.api_keys import ApiKeyError, make_key  # noqa: PLC0415

    try:
        token, key = make_key(options.name, "admin" if options.admin else "use")
    except ApiKeyError as error:
        sys.exit(f"earshot: {error}")
    sys.stdout.write(f"{token}\n")
    sys.stderr.write(f"{key.line}\n")


def _parser() -> argparse.ArgumentParser:
    has_training = is_here("training")
    parser = argparse.ArgumentParser(
        prog="earshot",
        description="Classify recordings; in a checkout of Earshot also serve, train and measure.",
        epilog=_EPILOG + (_TRAINING_EPILOG if has_training else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"earshot {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_classify(commands)
    _add_serve(commands)
    _add_key(commands)
    if has_training:
        import training.cli  # noqa: PLC0415

        training.cli.add_commands(commands)
    return parser


def _add_classify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "classify",
        help="classify recordings",
        description="Classify recordings. The labels go to stdout; a file that cannot be "
        "classified is reported on stderr and does not stop the others. Exit status: 0 where all "
        "were classified, 1 where some were not, 3 where none was.",
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="recordings, folders of recordings, which are searched to any depth, or - for "
        "standard input",
    )
    parser.add_argument(
        "--task", required=True, help="a task of the service, such as urban-sound or emotion"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--checkpoint", metavar="NAME", help="which of the task's (default: hann, or the first)"
    )
    which.add_argument(
        "--window", metavar="NAME", help="the same, of those that are named for their window"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--server",
        default=os.environ.get("EARSHOT_SERVER", DEFAULT_SERVER),
        metavar="URL",
        help=f"the service to ask (default: EARSHOT_SERVER, else {DEFAULT_SERVER})",
    )
    where.add_argument("--local", action="store_true", help="ask no service (in a checkout)")
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
        help="where checkpoints are, with --local (default: EARSHOT_MODELS_DIR, or models_store)",
    )
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv", "audacity", "raven"),
        default="table",
        help="audacity: a label track; raven: a selection table (default: table)",
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="a row for each segment of a long recording, in tables and CSV",
    )
    parser.add_argument(
        "--hop-seconds",
        type=_number(0.25, 60),
        metavar="S",
        help="between the clips that a long recording is cut into (default: half a clip)",
    )
    parser.add_argument(
        "--min-segment-seconds",
        type=_number(0, 3600),
        default=0.0,
        metavar="S",
        help="of the shortest segment of a long recording (default: 0)",
    )
    parser.add_argument(
        "--top-k", type=_top_k, default=3, metavar="N", help="labels for each file (default: 3)"
    )


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "serve",
        help="run the service (in a checkout)",
        description="Run the service of this checkout of Earshot. Its other settings are "
        "environment variables: docs/settings.md.",
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="(default: 8000; 0: any that is free)")
    parser.add_argument(
        "--store", type=Path, metavar="DIR", help="where checkpoints are (default: models_store)"
    )


def _add_key(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "key",
        help="make an API key (in a checkout)",
        description="Make a new API key for a service. The key goes to stdout, to be given to "
        "whoever shall use it; its line for EARSHOT_API_KEYS_FILE goes to stderr. Neither is kept.",
    )
    parser.add_argument("name", metavar="NAME", help="whose it is, for the service's log")
    parser.add_argument(
        "--admin", action="store_true", help="let it use /admin, too: reload the store"
    )


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(f"expected {lowest:g} to {highest:g}, got {text!r}")
        return number

    return parse


def _top_k(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"expected 1 to 100, got {text!r}")
    return int(text)
