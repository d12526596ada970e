"""Dependencies point one way, and the service needs no torch."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SHARED = {"earshot.schemas", "earshot.audio_formats", "earshot.__version__"}
"""what the service and its client share"""

# What the modules of a folder, or one module, may import of the project; the longest name decides.
ALLOWED = {
    "app/audio": {"app.audio"},
    "app/decoding": {"app.decoding", "app.audio.silence", *SHARED},
    "app/checkpoints": {"app.checkpoints", "app.audio", *SHARED},
    "app/inference": {"app.inference", "app.checkpoints", "app.decoding", "app.audio", *SHARED},
    "app/rendering": {"app.rendering", "app.audio", *SHARED},
    "app/music": {"app.music", "app.rendering", "app.audio", *SHARED},
    "app/settings.py": {"app.decoding.limits", "app.inference.EngineConfig", *SHARED}
    | {"app.inference.EngineName"},
    "app/telemetry": {"app.telemetry", "app.inference", "app.settings", "app.__version__"},
    "app/api": {
        *("app.api", "app.inference", "app.checkpoints", "app.decoding", "app.audio"),
        *("app.rendering", "app.music", "app.telemetry", "app.settings", "app.__version__"),
        *SHARED,
    },
    "app/server": {"app.server", "app.api"},
    "app": {"app", *SHARED},
    "training": {
        *("training", "app.audio", "app.decoding", "app.checkpoints", "app.inference.engine"),
        "app.inference.classifier",  # which clips the service rejects
        *("app.music.spectral_features", "app.rendering.spectrogram", *SHARED),
    },
    # Tells a service of what it has fitted.
    "training/linear_probe": {
        *("training", "app.audio", "app.decoding", "app.checkpoints", "app.inference.engine"),
        *("app.inference.embedding", "earshot"),
    },
    "earshot": {"earshot"},
    # These run the service or the training of the checkout that they are in.
    "earshot/local.py": {"earshot", "app"},
    "earshot/cli.py": {"earshot", "app", "training.cli"},
    "bench": {"bench", "app", "earshot"},
    "tests/support": {"tests.support", "bench", "app", "earshot", "training"},
}
PROJECT = ("app", "bench", "earshot", "training", "tests")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def allowed_imports(path: Path) -> set[str]:
    name = path.relative_to(ROOT).as_posix()
    rules = [rule for rule in ALLOWED if name == rule or name.startswith(f"{rule}/")]
    return ALLOWED[max(rules, key=len)]


@pytest.mark.parametrize("folder", ["app", "bench", "earshot", "training", "tests/support"])
def test_imports_point_one_way(folder: str) -> None:
    for path in modules(folder):
        for name in imports(path):
            if name.split(".")[0] in PROJECT:
                allowed = any(
                    f"{name}.".startswith(f"{prefix}.") for prefix in allowed_imports(path)
                )
                assert allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_every_folder_of_the_service_has_a_rule() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in modules("app")}
    for folder in folders - {"app", "app/web"}:
        assert any(rule != "app" and f"{folder}/".startswith(f"{rule}/") for rule in ALLOWED), (
            folder
        )


def test_settings_load_no_decoder_and_no_network() -> None:
    unwanted = "soxr soundfile openvino scipy fastapi av"
    assert loaded_of(unwanted, "import app.settings") == ""


def test_only_the_api_and_its_server_speak_http() -> None:
    for path in modules("app"):
        for name in imports(path):
            if name.split(".")[0] in ("fastapi", "starlette"):
                assert {"api", "server"} & {*path.parts} or path.name == "main.py", path


def test_the_service_reports_to_nobody(tmp_path: Path) -> None:
    """OpenVINO's telemetry would write its identity below HOME before it sends anything."""
    code = (
        "import sys, app.inference.engine; "
        "sys.exit(any(name.startswith('openvino_telemetry.') for name in sys.modules))"
    )
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False)
    assert process.returncode == 0
    assert not list(tmp_path.iterdir())


def loaded_of(unwanted: str, code: str) -> str:
    """Run `code` in a process of its own; returns which of the `unwanted` modules it loaded."""
    code = f"import sys; {code}; print(*set({unwanted.split()}) & set(sys.modules))"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_the_service_starts_without_torch_training_or_what_draws() -> None:
    code = "from app.main import create_app; create_app()"
    unwanted = "torch librosa lightning training earshot.client httpx opentelemetry.sdk matplotlib"
    assert loaded_of(unwanted, code) == ""


def test_ffmpeg_is_not_in_the_service() -> None:
    assert (
        loaded_of("av app.decoding.ffmpeg", "from app.main import create_app; create_app()") == ""
    )


def test_a_checkpoint_without_weights_is_loaded_without_torch() -> None:
    code = (
        "from app.inference.engine import make_engine; from app.checkpoints import store; "
        "key = store.ModelKey('emotion', 'hann'); "
        "checkpoint = store.load(__import__('pathlib').Path('models_store'), key); "
        "make_engine(checkpoint, 'auto', streams=1, cache=None)"
    )
    assert loaded_of("torch", code) == ""


def test_the_process_has_one_openvino_core() -> None:
    """Another, when it is destroyed, takes a thread's signal stack: see `openvino_core`."""
    made = [
        path.relative_to(ROOT).as_posix()
        for package in ("app", "bench", "earshot", "tests", "training")
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("openvino.Core", "Core")
    ]
    # The test of it has a process of its own make one that is destroyed.
    assert made == ["app/inference/engine.py"]


def test_the_client_loads_nothing_of_the_server() -> None:
    assert loaded_of("fastapi openvino numpy scipy training", "import earshot.client") == ""


def test_the_command_line_parses_without_loading_what_commands_need() -> None:
    unwanted = "fastapi openvino numpy pydantic httpx rich torch lightning"
    assert loaded_of(unwanted, "import earshot.cli; earshot.cli._parser()") == ""
