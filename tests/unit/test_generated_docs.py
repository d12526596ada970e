"""The tables that are generated say what the code says."""

import pytest

from app.api.problem_types import PROBLEM_TYPES
from app.settings import Settings
from docs.generate import (
    DOCS,
    TABLES,
    close_codes_table,
    errors_table,
    insert_table,
    settings_table,
    stream_parameters_table,
)


@pytest.mark.parametrize(("name", "title"), TABLES)
def test_a_table_is_not_stale(name: str, title: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert insert_table(page, title, TABLES[name, title]()) == page, "run `make docs`"


def test_a_page_without_a_place_for_its_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 places"):
        insert_table("# Settings", "settings", settings_table())


def test_every_setting_is_explained() -> None:
    table = settings_table()
    for name, field in Settings.model_fields.items():
        assert f"`EARSHOT_{name.upper()}`" in table
        assert field.description, name
    assert "| `EARSHOT_ENGINE_STREAMS` | `1` | whole number from 1 |" in table
    assert "| `EARSHOT_PORT` | `8000` | whole number from 0 to 65535 |" in table
    assert "| `EARSHOT_LOG_FORMAT` | `text` | `json`, `text` |" in table


def test_every_problem_is_explained() -> None:
    table = errors_table()
    for name, problem_type in PROBLEM_TYPES.items():
        row = f"| `/problems/{name}` | {int(problem_type.status)} | {problem_type.title} |"
        assert (row in table) == (name != "not-found")


def test_live_sound_is_explained() -> None:
    table = stream_parameters_table()
    assert "| `sample_rate` | required | whole number from 4000 to 192000 | of the" in table
    assert "| `hop_seconds` | `1` | number from 0.25 to 60 | between predictions |" in table
    assert "| `top_k` | `3` | whole number from 1 to 100 | labels in `ranked` |" in table
    assert table.count("\n") == 6
    assert "\n| 1003 | a message is text |" in close_codes_table()
