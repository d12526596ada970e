"""The wheel: what it holds, what it needs, and that it hurts no project that it is installed in."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import earshot
from tests.support.serving import ServerClient
from tests.support.sounds import encode, make

ROOT = Path(__file__).parents[2]

_USER = """\
import asyncio
from pathlib import Path

from earshot import AsyncClient, Client, EarshotError
from earshot.schemas import BatchLine, Classification, Explanation, Progress


def report(progress: Progress) -> None:
    print(progress.seconds)


def ask(server: str, path: Path) -> str | None:
    with Client(server, timeout=60) as client:
        found: Classification = client.classify(
            "emotion", path, checkpoint="hann", top_k=2, hop_seconds=1, on_progress=report
        )
        lines: list[BatchLine] = list(client.classify_batch("emotion", [path, b"RIFF"], top_k=1))
        explained: Explanation = client.explain("emotion", path, label="angry", clip=1)
        pictures: list[bytes] = [
            client.draw_explanation("emotion", path, format="svg", width=300),
            client.spectrogram(path, format="webp", top_db=60),
            client.genre_spectrogram("jazz", track=2, compare="windows"),
        ]
        for prediction in client.stream("emotion", [bytes(10)], sample_rate=16_000):
            print(prediction.label, prediction.end)
        names = [model.name for model in client.models()]
        print(lines, explained.map, pictures, names, client.genres(limit=1)[0].track_count)
        return found.label


async def ask_async(server: str) -> None:
    async with AsyncClient(server) as client:
        first, second = await asyncio.gather(
            client.classify("emotion", b"RIFF"), client.classify("emotion", "a.wav", window="hann")
        )
        async for line in client.classify_batch("emotion", [b"RIFF"]):
            print(line.index, first.label, second.segments)
        try:
            print(await client.ready(), (await client.health()).version)
        except EarshotError as error:
            print(error.problem.detail)
"""
_WRONG = """\
from earshot import Client

client = Client()
client.classify("emotion")
client.classify("emotion", "a.wav", hop="1")
client.classify("emotion", "a.wav").labels
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy of the checkout's code."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("app", "bench", "earshot", "tests", "training"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", built, source)
    [path] = built.iterdir()
    return path


@pytest.fixture(scope="module")
def needed(wheel: Path) -> dict[str, Distribution]:
    """The packages that the wheel needs, and those that these need, as they are here."""
    [information] = (path for path in zipfile.Path(wheel).iterdir() if "." in path.name)
    found: dict[str, Distribution] = {}
    waiting = list(PathDistribution(information).requires or ())
    while waiting:
        requirement = Requirement(waiting.pop())
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in found:
            found[requirement.name] = distribution(requirement.name)
            waiting += found[requirement.name].requires or ()
    return found


@pytest.fixture(scope="module")
def project(
    wheel: Path, needed: dict[str, Distribution], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project with a package `app` of its own, and the wheel, with what it needs, installed."""
    root = tmp_path_factory.mktemp("project")
    venv.create(root / ".venv")
    [site_packages] = root.glob(".venv/lib/python*/site-packages")
    for package in needed.values():
        for name in {file.parts[0] for file in package.files or ()} - {".."}:
            if not (site_packages / name).exists():
                (site_packages / name).symlink_to(Path(str(package.locate_file(name))))
    pip = (sys.executable, "-m", "pip", "--python", root / ".venv" / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (root / "app").mkdir()
    (root / "app" / "__init__.py").touch()
    (root / "app" / "api.py").write_text("NAME = 'the own api'\n")
    (root / "user.py").write_text(_USER)
    (root / "wrong.py").write_text(_WRONG)
    return root


def run(*command: str | Path, cwd: Path | None = None) -> str:
    found = call(*command, cwd=cwd)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def python(project: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return call(project / ".venv" / "bin" / "python", *arguments, cwd=project)


def call(*command: str | Path, cwd: Path | None) -> subprocess.CompletedProcess[str]:
    # On the path of whoever runs the tests, the checkout would pass for an installed package.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=clean)


def test_the_wheel_holds_the_client_alone(wheel: Path) -> None:
    information = f"earshot_audio-{earshot.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(information)}
        assert b"earshot = earshot.cli:main" in archive.read(f"{information}/entry_points.txt")
    modules = {f"earshot/{path.name}" for path in (ROOT / "earshot").glob("*.py")}
    assert names == modules | {"earshot/py.typed"}
    assert wheel.stat().st_size < 100_000


def test_it_needs_few_packages(needed: dict[str, Distribution]) -> None:
    assert {"anyio", "httpx", "pydantic", "websockets"} <= needed.keys()
    files = [file for package in needed.values() for file in package.files or ()]
    sizes = [Path(str(file.locate())).stat().st_size for file in files if file.suffix != ".pyc"]
    assert sum(sizes) < 15e6


def test_it_hurts_no_project_with_an_app_of_its_own(project: Path, client: ServerClient) -> None:
    (project / "siren.wav").write_bytes(encode(make("siren", 70_001)))
    code = (
        "from earshot import Client; from app.api import NAME; import earshot, sys\n"
        f"found = Client('{client.base_url}').classify('urban-sound', 'siren.wav')\n"
        "print(NAME, found.label, earshot.__file__.startswith(sys.prefix))"
    )
    found = python(project, "-c", code)
    assert (found.stdout, found.stderr) == ("the own api siren True\n", "")
    ask = ("siren.wav", "--server", str(client.base_url), "--task", "urban-sound")
    found = python(project, "-m", "earshot", "classify", *ask, "--format", "csv")
    assert found.stdout.splitlines()[1].startswith("siren.wav,siren,")
    listed = run(project / ".venv" / "bin" / "earshot", "--help", cwd=project)
    assert re.findall(r"^    (\w+) ", listed, re.MULTILINE) == ["classify", "serve", "key"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("-m earshot serve", "earshot: the service's packages are missing: run `make serve`"),
        ("-m earshot key me", "earshot: the service's packages are missing: run `make serve`"),
        (
            "-m earshot train",
            "earshot: the training packages are missing: run `make install-training`",
        ),
        (
            "-m earshot classify --local --task emotion siren.wav",
            "earshot: --local: the service's packages are missing: run `make serve`",
        ),
    ],
)
def test_what_needs_a_checkout_says_so_in_one_line(
    project: Path, arguments: str, line: str
) -> None:
    found = python(project, *arguments.split())
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == f"{line} in a checkout of Earshot\n"


def test_the_classifier_needs_a_checkout(project: Path) -> None:
    found = python(project, "-c", "from earshot import Classifier")
    assert found.stderr.splitlines()[-1] == (
        "earshot.checkout.MissingPackagesError: the service's packages are missing: "
        "run `make serve` in a checkout of Earshot"
    )
    found = python(project, "-c", "from earshot import *; Client; AsyncClient; EarshotError")
    assert found.returncode == 0


def test_a_user_of_the_client_passes_mypy(project: Path) -> None:
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable")
    command = [*mypy, project / ".venv" / "bin" / "python", "user.py", "wrong.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)
    errors = [line.partition(" error: ")[::2] for line in found.stdout.splitlines()[:-1]]
    assert [place for place, _ in errors] == ["wrong.py:4:", "wrong.py:5:", "wrong.py:6:"]
    assert "Too few arguments" in errors[0][1]
    assert 'Unexpected keyword argument "hop"' in errors[1][1]
    assert 'has no attribute "labels"' in errors[2][1]
