"""Write the tables of settings, errors and live sound from the service's own definitions.

python -m docs.generate
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from fastapi.routing import APIWebSocketRoute
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.api.parameters import query_parameters
from app.api.problem_types import PROBLEM_TYPES, SERVED_TYPES
from app.api.routes.stream import CLOSE_CODES, router
from app.settings import Settings

DOCS = Path(__file__).parent
# Defaults that depend on the machine.
_COMPUTED_DEFAULTS = {
    "decoder_processes": "2, or 1 with one processor",
    "threads": "number of processors",
}
_NOUNS: dict[object, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    str | None: "text",
    list[str]: "items, separated by commas",
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
        (f"`/problems/{name}`", str(int(each.status)), each.title, each.example, each.remedy)
        for name, each in PROBLEM_TYPES.items()
        if name in SERVED_TYPES
    ]
    return _table(("type", "status", "title", "example of a detail", "what to do"), rows)


def stream_parameters_table() -> str:
    """Return a table with a row for each query parameter of a stream."""
    route = next(each for each in router.routes if isinstance(each, APIWebSocketRoute))
    rows = [
        (
            f"`{name}`",
            "required" if field.is_required() else _default(name, field),
            _accepted(field),
            field.description or "",
        )
        for name, field in query_parameters(route.dependant)
    ]
    return _table(("query", "default", "accepted", "meaning"), rows)


def close_codes_table() -> str:
    """Return a table with a row for each of the `CLOSE_CODES` of a stream."""
    return _table(("code", "why"), [(str(int(code)), why) for code, why in CLOSE_CODES.items()])


TABLES: Mapping[tuple[str, str], Callable[[], str]] = {
    ("settings.md", "settings"): settings_table,
    ("errors.md", "types of problems"): errors_table,
    ("api.md", "parameters of a stream"): stream_parameters_table,
    ("api.md", "close codes of a stream"): close_codes_table,
}
"""page and name of a table -> what makes it"""


def main() -> None:
    """Write the tables into their pages."""
    for (name, title), make_table in TABLES.items():
        page = DOCS / name
        content = insert_table(page.read_text(encoding="utf-8"), title, make_table())
        page.write_text(content, encoding="utf-8")


def insert_table(page: str, title: str, table: str) -> str:
    """Return a page with another table of this title, which stands between two comments.

    Raises ValueError when it has no place for one.
    """
    place = rf"(?<=<!-- generated {title}: run `make docs` -->\n\n).*?(?=\n\n<!-- end -->)"
    new, count = re.subn(place, lambda _: table, page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"a page has {count} places for a table of {title}")
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
    if default is None or default in ("", [], {}):
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
    if get_origin(kind) is dict:
        return "task/checkpoint pairs, separated by commas"
    return " ".join([_NOUNS[kind], *_bounds(field.metadata)])


def _bounds(constraints: Iterable[object]) -> list[str]:
    words: dict[type, str] = {Ge: "from {0.ge}", Gt: "above {0.gt}", Le: "to {0.le}"}
    return [words[type(each)].format(each) for each in constraints if type(each) in words]


if __name__ == "__main__":
    main()
