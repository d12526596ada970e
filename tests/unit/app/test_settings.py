import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings

ROOT = Path(__file__).parents[3]


def test_defaults_serve_what_is_shipped() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.models_dir == ROOT / "models_store"
    assert settings.genres_dir == ROOT / "assets" / "genres"
    assert settings.threads >= 1


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_PORT", "9001")
    monkeypatch.setenv("EARSHOT_MODELS_DIR", "/elsewhere")
    settings = Settings()
    assert (settings.port, settings.models_dir) == (9001, Path("/elsewhere"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("MAX_SECONDS", "0"), ("THREADS", "none"), ("LOG_LEVEL", "loud")],
)
def test_a_bad_value_stops_the_start_with_its_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"EARSHOT_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()
    process = subprocess.run(
        [sys.executable, "-m", "app"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert process.returncode == 1
    assert f"\n{name.lower()}\n" in process.stderr
    assert "Traceback" not in process.stderr


def test_the_largest_file_must_find_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_MAX_UPLOAD_BYTES", "1001")
    monkeypatch.setenv("EARSHOT_UPLOAD_MEMORY_BYTES", "1000")
    with pytest.raises(ValidationError, match=r"upload_memory_bytes \(1000\) must be at least"):
        Settings()
