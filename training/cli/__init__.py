"""The commands of the training package, as the command line of Earshot adds them."""

import argparse
import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training.cli.config import ConfigError, expand_config
from training.cli.measuring_commands import add_measuring_commands
from training.cli.training_commands import add_training_commands

# `--help` needs none of the packages that commands need: nothing here imports them.

_NEEDED = {
    "fine-tune": ("lightning", "transformers", "nncf"),
    "refit-head": ("lightning", "transformers"),
    "fit": ("openvino", "onnx", "rich", "sklearn"),
    "push": ("onnx", "yaml"),
}
"""packages of the commands that need more than Lightning, or less"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that train and measure to the command line."""
    add_training_commands(commands)
    add_measuring_commands(commands)


def expand(arguments: Sequence[str]) -> list[str]:
    """Return a command line with the options of the file that `earshot train --config` names.

    Raises SystemExit with a message where the file is not as it should be.
    """
    if not arguments or arguments[0] != "train":
        return list(arguments)
    commands = argparse.ArgumentParser().add_subparsers()
    add_training_commands(commands)
    # Any task and folder will do, to learn the names of the other options.
    known = vars(commands.choices["train"].parse_args(["--task", "x", "--folders", "x"]))
    try:
        return ["train", *expand_config(arguments[1:], known)]
    except ConfigError as error:
        sys.exit(f"earshot: {error}")


def run(options: argparse.Namespace, command: str) -> None:
    """Run the command that was parsed into `options` from the command line `command`.

    Raises SystemExit with a message where the user's data is not as it should be, or the
    training packages are missing.
    """
    if options.command == "tables":
        _print_tables(options.store)
        return
    needed = _NEEDED.get(options.command, ("lightning",))
    if any(importlib.util.find_spec(package) is None for package in needed):
        target = "install-fit" if options.command == "fit" else "install-training"
        sys.exit(
            f"earshot: the training packages are missing: run `make {target}` in a checkout of "
            "Earshot"
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    if options.command == "fit":
        # Needs no torch.
        from training.linear_probe import command as probe  # noqa: PLC0415

        try:
            probe.run(options, command)
        except BrokenPipeError:
            raise
        except probe.USER_ERRORS as error:
            sys.exit(f"earshot: {error}")
        return
    if options.command == "push":
        # Needs none either.
        from training import hub  # noqa: PLC0415

        try:
            hub.run(options)
        except hub.USER_ERRORS as error:
            sys.exit(f"earshot: {error}")
        return
    # Heavy, torch and all: --help should not wait for it, nor fail without it.
    from training import commands  # noqa: PLC0415

    # Lightning sets its own level when imported, tips and advertisements included.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        commands.COMMANDS[options.command](options, command)
    except BrokenPipeError:
        raise
    except commands.USER_ERRORS as error:
        sys.exit(f"earshot: {error}")


def _print_tables(root: Path) -> None:
    # What the cards of a store say needs nothing that trains.
    from app.checkpoints.store import CheckpointError  # noqa: PLC0415
    from training import card_tables  # noqa: PLC0415

    try:
        cards = card_tables.measured_cards(root)
    except (CheckpointError, OSError) as error:
        sys.exit(f"earshot: {error}")
    if not cards:
        sys.exit(f"earshot: the store {root.absolute()} holds no checkpoints that were measured")
    for table in card_tables.TABLES:
        sys.stdout.write(table(cards) + "\n")
