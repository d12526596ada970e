"""The documents name only files, headings, commands, settings and metrics that exist."""

import importlib.util
import re
from pathlib import Path

import pytest

from app.settings import Settings
from app.telemetry.prometheus import PrometheusMetrics

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "assets" / "genres" / "README.md"]
)
DEPLOYMENT = [ROOT / "docker-compose.yml", ROOT / "Dockerfile", ROOT / "deploy" / "prove-image"]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "earshot.json"
# Of the client and of the tests.
OTHER_VARIABLES = {"EARSHOT_API_KEY", "EARSHOT_TEST_DATA", "EARSHOT_TEST_TRAINING"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:", path):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", [*PAGES, *DEPLOYMENT], ids=lambda page: page.name)
def test_variables_are_settings(page: Path) -> None:
    known = {f"EARSHOT_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    for name in re.findall(r"EARSHOT_[A-Z_]+", page.read_text(encoding="utf-8")):
        # A family of settings is written as `EARSHOT_MAX_BATCH_*`.
        assert name in known or (
            name.endswith("_") and any(each.startswith(name) for each in known)
        ), name


@every_page
def test_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"python -m ((?:app|bench|docs|tests|training)\b[\w.]*)", text):
        assert importlib.util.find_spec(name), name
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    for name in re.findall(r"(?:`|^|\$ )make ([a-z-]+)", text, re.M):
        assert name in targets, name


@pytest.mark.parametrize("page", [ROOT / "docs" / "operations.md", DASHBOARD])
def test_metrics_exist(page: Path) -> None:
    exposition = PrometheusMetrics().exposition("")[0].decode()
    known = set(re.findall(r"^# TYPE (\w+)", exposition, re.M))
    found = set(re.findall(r"\bearshot_[a-z_]+", page.read_text()))
    assert found
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in found} <= known


def test_operations_explain_every_metric() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    exposition = PrometheusMetrics().exposition("")[0].decode()
    for name in re.findall(r"^# TYPE (earshot_\w+)", exposition, re.M):
        assert name.endswith("_created") or f"`{name}" in text, name
