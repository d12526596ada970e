"""Write the tables of docs/settings.md and docs/errors.md from the service's own definitions.

python -m docs.generate
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.api.problem_types import PROBLEM_TYPES
from app.settings import Settings

DOCS = Path(__file__).parent
# The table of a page stands between two comments.
_TABLE = re.compile(
    r"(?<=<!-- generated: run `make docs` -->\n\n).*(?=\n\n<!-- end -->)", re.DOTALL
)
# Defaults that depend on the machine.
_COMPUTED_DEFAULTS = {
    "decoder_processes": "2, or 1 with one processor",
    "threads": "number of processors",
}
_NOUNS: dict[object, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    list[str]: "JSON list",
}


def settings_table() -> str:
    """Return a table with a row for each field of `Settings`."""
    rows = [
        (_variable(name, field), _default(name, field), _accepted(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("variable", "default", "accepted", "meaning"), rows)


def errors_table() -> str:
    """Return a table with a row for each of the `PROBLEM_TYPES`."""
    rows = [
        (f"`/problems/{name}`", str(int(each.status)), each.title, each.example)
        for name, each in PROBLEM_TYPES.items()
        if name != "not-found"  # HTTP's own: it has the type about:blank
    ]
    return _table(("type", "status", "title", "example of a detail"), rows)


def main() -> None:
    """Write the tables into their pages."""
    for name, table in (("settings.md", settings_table()), ("errors.md", errors_table())):
        page = DOCS / name
        page.write_text(insert_table(page.read_text(encoding="utf-8"), table), encoding="utf-8")


def insert_table(page: str, table: str) -> str:
    """Return a page with another table. Raises ValueError when it has no place for one."""
    new, count = _TABLE.subn(lambda _: table, page)
    if count != 1:
        raise ValueError(f"a page has {count} places for a table")
    return new


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _variable(name: str, field: FieldInfo) -> str:
    aliases = getattr(field.validation_alias, "choices", [f"EARSHOT_{name.upper()}"])
    return ", else ".join(f"`{alias}`" for alias in aliases)


def _default(name: str, field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return _COMPUTED_DEFAULTS[name]
    if default is None or default == "":
        return "none"
    if isinstance(default, Path):
        default = default.relative_to(DOCS.parent)
    elif isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, float):
        default = f"{default:g}"
    return f"`{default}`"


def _accepted(field: FieldInfo) -> str:
    kind: Any = field.annotation
    choices = [str(each) for each in get_args(kind)] if get_origin(kind) is Literal else []
    for constraint in field.metadata:
        # A pattern like ^(critical|error)$ is a choice as well.
        words = str(getattr(constraint, "pattern", "")).strip("^$()").split("|")
        choices = words if all(word.isalpha() for word in words) else choices
    if kind is bool:
        choices = ["true", "false"]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if Path in (kind, *get_args(kind)):
        return "path, or nothing" if NoneType in get_args(kind) else "path"
    return " ".join([_NOUNS[kind], *_bounds(field.metadata)])


def _bounds(constraints: Iterable[object]) -> list[str]:
    words: dict[type, str] = {Ge: "from {0.ge}", Gt: "above {0.gt}", Le: "to {0.le}"}
    return [words[type(each)].format(each) for each in constraints if type(each) in words]


if __name__ == "__main__":
    main()
