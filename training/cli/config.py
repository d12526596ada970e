"""`--config`: options of `earshot train` from a YAML file, and `--print-config`."""

import argparse
import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.runs import RunConfig

_FLAG = "--config"
_REPEATED = frozenset({"hold_out", "leave_out", "logger"})
"""options of which each value has a flag of its own"""
_EXCLUSIVE = {"data": ("--folders",), "folders": ("--data",), "hold_out": ("--folds",)}
"""options that give way to another one on the command line"""


class ConfigError(ValueError):
    """A configuration file cannot be read; the message says why, and what would be right."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--print-config`."""
    parser.add_argument(
        _FLAG,
        type=Path,
        metavar="FILE",
        help="a YAML file of these options, by their names; those of the command line come first",
    )
    parser.add_argument(
        *("--print-config", "--print_config"),
        action="store_true",
        help="print all options as they would be used, for --config, and stop",
    )


def expand_config(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """Put the options of `--config FILE` before those of a command line, which override them.

    Args:
        arguments: of the command, without its name.
        known: names of its options, with underscores.

    Raises ConfigError when the file cannot be read or has other options.
    """
    arguments = list(arguments)
    path = _config_path(arguments)
    if path is None:
        return arguments
    expanded = []
    for name, value in _read(path).items():
        option = name.replace("-", "_")
        if option not in known:
            [*near] = difflib.get_close_matches(option, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{path}: no option {name}{hint}")
        if not _is_given(option, arguments):
            expanded += _flags(option, value)
    return [*expanded, *arguments]


def print_config(config: "RunConfig", options: argparse.Namespace) -> None:
    """Print the options of a run as YAML that `--config` reads."""
    import yaml  # noqa: PLC0415

    content: dict[str, object] = {
        "task": config.task,
        "folders" if options.folders else "data": str(options.folders or options.data),
        "window": config.window,
        "name": config.name,
        "network": config.network,
        "pretrained": options.pretrained and str(options.pretrained),
        "teacher": options.teacher and str(options.teacher),
        "leave_out": options.leave_out,
        "folds": options.folds,
        "hold_out": config.held_out
        and {corpus: list(folds) for corpus, folds in config.held_out.items()},
        "cache": str(options.cache),
        "store": str(options.store),
        "out": options.out and str(options.out),
        "seed": config.seed,
        "devices": options.devices,
        "logger": options.logger,
        **{
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(config.recipe).items()
        },
    }
    given = {name: value for name, value in content.items() if value not in (None, [], {})}
    yaml.safe_dump(given, sys.stdout, sort_keys=False, allow_unicode=True)


def _config_path(arguments: Sequence[str]) -> Path | None:
    for number, argument in enumerate(arguments):
        if argument.startswith(f"{_FLAG}="):
            return Path(argument.partition("=")[2])
        if argument == _FLAG and number + 1 < len(arguments):
            return Path(arguments[number + 1])
    return None


def _read(path: Path) -> Mapping[str, object]:
    try:
        import yaml  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError("--config needs PyYAML: run `make install-training`") from error
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML: {told}") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigError(f"{path}: expected a line `option: value` for each option")
    return content


def _is_given(option: str, arguments: Sequence[str]) -> bool:
    flag = f"--{option.replace('_', '-')}"
    flags = (flag, flag.replace("--", "--no-", 1), *_EXCLUSIVE.get(option, ()))
    return any(each in flags or each.partition("=")[0] in flags for each in arguments)


def _flags(option: str, value: object) -> list[str]:
    """Return an option of the file as it would stand on the command line."""
    flag = f"--{option.replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        value = [f"{key}:{','.join(map(str, _listed(each)))}" for key, each in value.items()]
    if option in _REPEATED:
        return [f"{flag}={each}" for each in _listed(value)]
    if isinstance(value, list):
        return [flag, *map(str, value)]
    return [f"{flag}={value}"]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
