"""A flag for each field of a recipe, generated from the dataclass.

argparse and not jsonargparse: the commands of training are subcommands beside those that a bare
client has, of one parser that imports none of training's packages; jsonargparse would have to own
the whole command line, and be a dependency of the client.
"""

import argparse
import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, get_type_hints

from training.cli.options import fraction, non_negative, positive, positive_int, whole
from training.recipes import Recipe

_POSITIVE = frozenset({"clip_seconds", "crop_seconds", "max_learning_rate", "teacher_temperature"})
_FRACTIONS = (
    "_probability",
    "_fraction",
    "distillation_weight",
    "_range",
    "dropout",
    "smoothing",
    "_decay",
)
"""ends of the names of what is 0 to 1"""
_COUNTS = frozenset({"epochs", "batch_size"})
"""which are 1 or more"""


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field of `Recipe`; one that is not given is None."""
    group = parser.add_argument_group(
        "recipe", "how it learns, instead of what training/recipes.py has for the task"
    )
    help_of = _field_docs()
    hints = get_type_hints(Recipe)
    for field in fields(Recipe):
        flag, text = f"--{field.name.replace('_', '-')}", help_of.get(field.name)
        kind = hints[field.name]
        if kind is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        elif kind is int:
            of_count = positive_int if field.name in _COUNTS else whole
            group.add_argument(flag, type=of_count, metavar="N", help=text)
        elif kind is float:
            group.add_argument(flag, type=_float_type(field.name), metavar="X", help=text)
        else:
            group.add_argument(flag, type=float, nargs=2, metavar=("LOW", "HIGH"), help=text)


def changed_recipe(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """Return a recipe with the fields that were given on the command line."""
    given = {field.name: getattr(options, field.name) for field in fields(Recipe)}
    changes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    return replace(recipe, **changes)


def _float_type(name: str) -> Callable[[str], float]:
    if name in _POSITIVE:
        return positive
    return fraction if name.endswith(_FRACTIONS) else non_negative


def _field_docs() -> Mapping[str, str]:
    """Return the strings below the fields of `Recipe`, which Python keeps in its source only."""
    tree = ast.parse(inspect.getsource(Recipe)).body[0]
    assert isinstance(tree, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            docs[field.target.id] = " ".join(str(text.value.value).split()).replace("%", "%%")
    return docs
