import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import (
    InvalidSettingsError,
    Settings,
    describe_unknown_variables,
    load_settings,
)

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
    ("name", "value", "reason"),
    [
        ("PORT", "70000", "Input should be less than or equal to 65535"),
        ("MAX_SECONDS", "0", "Input should be greater than 0"),
        ("PRELOAD", "some", "Input should be 'all', 'default' or 'none'"),
        ("TRUSTED_PROXIES", "10.0.0.1,proxy", "'proxy' does not appear to be an IPv4 or IPv6 ne"),
        ("ALLOWED_HOSTS", '["a', "expected items separated by commas, or a list in JSON"),
        ("OTLP_ENDPOINT", "collector", "String should match pattern"),
        ("DEFAULT_CHECKPOINT", "hann", "expected task/checkpoint, such as emotion/hann"),
    ],
)
def test_a_bad_value_is_named_in_one_line(
    name: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"EARSHOT_{name}", value)
    with pytest.raises(InvalidSettingsError) as refused:
        load_settings()
    line = str(refused.value)
    assert line.startswith(f"EARSHOT_{name}: {reason}")
    assert line.endswith(f", got {value!r}")
    assert "\n" not in line


def test_each_bad_value_has_a_line_and_the_service_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EARSHOT_PORT", "http")
    monkeypatch.setenv("EARSHOT_CORS_ORIGINS", "[1]")
    process = subprocess.run(
        [sys.executable, "-m", "app"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert process.returncode == 1
    assert process.stderr.splitlines() == [
        "EARSHOT_PORT: Input should be a valid integer, unable to parse string as an integer, "
        "got 'http'",
        "EARSHOT_CORS_ORIGINS: Input should be a valid string",
    ]


@pytest.mark.parametrize("value", ["a.example, *.b.example,", '["a.example", "*.b.example"]'])
def test_lists_are_separated_by_commas_or_json(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_ALLOWED_HOSTS", value)
    assert Settings().allowed_hosts == ["a.example", "*.b.example"]


def test_variables_that_are_no_settings_are_told_with_the_nearest() -> None:
    known = {"EARSHOT_PORT": "1", "earshot_host": "::", "EARSHOT_API_KEY": "k", "PATH": "/bin"}
    assert describe_unknown_variables(known) == []
    assert describe_unknown_variables(
        {"EARSHOT_MODEL_DIR": "x", "earshot_prots": "1", "EARSHOT_FOO": "1"}
    ) == [
        "EARSHOT_FOO is no setting and has no effect, see docs/settings.md",
        "EARSHOT_MODEL_DIR is no setting and has no effect; did you mean EARSHOT_MODELS_DIR?",
        "earshot_prots is no setting and has no effect; did you mean EARSHOT_PORT?",
    ]


def test_each_task_may_have_a_default_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "EARSHOT_DEFAULT_CHECKPOINT"
    monkeypatch.setenv(name, "emotion/speech-encoder, birds/night")
    assert Settings().default_checkpoint == {"emotion": "speech-encoder", "birds": "night"}
    for wrong in ("speech-encoder", "emotion/", "Emotion/hann"):
        monkeypatch.setenv(name, wrong)
        with pytest.raises(ValidationError, match="default_checkpoint"):
            Settings()


def test_the_largest_file_must_find_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_MAX_UPLOAD_BYTES", "1001")
    monkeypatch.setenv("EARSHOT_UPLOAD_MEMORY_BYTES", "1000")
    with pytest.raises(ValidationError, match=r"EARSHOT_UPLOAD_MEMORY_BYTES \(1000\) must"):
        Settings()
