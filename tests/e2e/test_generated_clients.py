"""Clients that others' tools make from the OpenAPI document: they are made without a warning, and
compile. Skipped where npm or pip, or what they would install, cannot be had."""

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.support.sounds import encode, make

PYTHON_PACKAGES = ("openapi-python-client==0.29.1",)
NODE_PACKAGES = ("openapi-typescript@7.13.0", "@hey-api/openapi-ts@0.95.0", "typescript@5.9.3")
INSTALL_SECONDS = 180
TSC = ("--noEmit", "--strict", "--target", "es2022", "--module", "esnext")
TSC += ("--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable")
ASK = """
import io, sys
from earshot_client import Client
from earshot_client.api.classify import classify
from earshot_client.api.service import problem_type
from earshot_client.models import ClassifyFilesBody, ProblemName, Task
from earshot_client.types import File

client = Client(sys.argv[1], raise_on_unexpected_status=True)
file = File(io.BytesIO(sys.stdin.buffer.read()), "clip.wav", "audio/wav")
found = classify.sync(Task.URBAN_SOUND, client=client, body=ClassifyFilesBody(file), top_k=2)
print(found.label, len(found.ranked))
print(problem_type.sync(ProblemName.SILENT, client=client).status)
"""


def run(
    command: Sequence[str | Path], cwd: Path, *, seconds: float = 120, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, cwd=cwd, capture_output=True, check=False, timeout=seconds, input=stdin
    )


def output(command: Sequence[str | Path], cwd: Path, *, stdin: bytes = b"") -> str:
    """Run a command that has to succeed; returns what it says."""
    process = run(command, cwd, stdin=stdin)
    text = (process.stdout + process.stderr).decode(errors="replace")
    assert process.returncode == 0, text
    return text


def installed(folder: Path, commands: Sequence[Sequence[str | Path]]) -> Path:
    """Run the commands that fill a folder, once for all runs of the tests."""
    done = folder / "done"
    if not done.exists():
        for command in commands:
            try:
                process = run(command, folder, seconds=INSTALL_SECONDS)
            except (OSError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"not installed: {error}")
            if process.returncode:
                pytest.skip(f"not installed: {process.stderr[-200:].decode(errors='replace')}")
        done.touch()
    return folder


@pytest.fixture(scope="session")
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that outlasts the tests, where pytest has one."""
    found = getattr(request.config, "cache", None)
    return tmp_path_factory.mktemp("tools") if found is None else Path(found.mkdir("tools"))


@pytest.fixture(scope="session")
def python(cache: Path) -> Path:
    """The interpreter of an environment with the maker of clients in Python."""
    folder = cache / "-".join(PYTHON_PACKAGES)
    if not folder.exists():
        venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    installed(folder, [[python, "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES]])
    return python


@pytest.fixture(scope="session")
def node(cache: Path) -> Path:
    """A folder with the makers of clients in TypeScript, and its compiler."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here")
    folder = cache / "node"
    folder.mkdir(exist_ok=True)
    options = ("--no-fund", "--no-audit", "--no-save", "--prefix", ".")
    return installed(folder, [[npm, "install", *options, *NODE_PACKAGES]])


@pytest.fixture
def document(client: httpx.Client, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(client.get("/openapi.json").json()))
    return path


def test_a_client_in_python_is_made_and_typed_and_answered(
    python: Path, document: Path, client: httpx.Client
) -> None:
    tool = python.with_name("openapi-python-client")
    said = output([tool, "generate", "--path", document, "--output-path", "made"], document.parent)
    assert "WARNING" not in said, said
    made = document.parent / "made"
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python]
    assert "Success" in output([*mypy, "--cache-dir", made / ".cache", "earshot_client"], made)
    sound = encode(make("siren", 1))
    answer = output([python, "-c", ASK, str(client.base_url)], made, stdin=sound)
    assert answer.split() == ["siren", "2", "422"]


def test_types_in_typescript_compile(node: Path, document: Path) -> None:
    programs = node / "node_modules" / ".bin"
    output([programs / "openapi-typescript", document, "-o", "types.ts"], document.parent)
    output([programs / "tsc", *TSC, "types.ts"], document.parent)


def test_a_client_in_typescript_compiles(node: Path, document: Path) -> None:
    programs = node / "node_modules" / ".bin"
    said = output([programs / "openapi-ts", "-i", document, "-o", "made"], document.parent)
    assert "warn" not in said.lower(), said
    made = document.parent / "made"
    output([programs / "tsc", *TSC, *made.glob("*.ts")], document.parent)
    functions = (made / "sdk.gen.ts").read_text()
    for name in ("classify", "classifyBatch", "explain", "spectrogram", "models", "ready"):
        assert f"export const {name} = " in functions
