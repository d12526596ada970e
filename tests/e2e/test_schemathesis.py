"""Schemathesis makes requests from the OpenAPI document that is served, and judges the answers.

`schemathesis.toml` says how, and `make schemathesis` does the same for longer.
"""

import os
import subprocess
import sys
from pathlib import Path

import soundfile

from app.api.api_keys import make_key
from tests.support.serving import ServerClient, serve
from tests.support.small_store import save_constant
from tests.support.sounds import RATE, make

ROOT = Path(__file__).parents[2]


def schemathesis(client: ServerClient, *options: str) -> None:
    """Run it; fails with its report where it finds something, or tries nothing."""
    run = subprocess.run(
        [
            *(
                Path(sys.executable).with_name("st"),
                "run",
                str(client.base_url.join("/openapi.json")),
            ),
            *("--no-color", "--workers", "2", "--max-examples", "3", *options),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    # Requests are shown as they were sent: not all of it is text.
    report = run.stdout.decode(errors="replace") + run.stderr.decode(errors="replace")
    assert run.returncode == 0, report
    assert "No issues found" in report


def test_the_answers_are_as_the_document_says(tmp_path: Path) -> None:
    """The shipped checkpoints, and a library that is quickly drawn."""
    for genre, label in (("jazz", "siren"), ("rock", "drilling")):
        (tmp_path / genre).mkdir()
        soundfile.write(tmp_path / genre / "one.wav", make(label, 1, seconds=0.5), RATE)
    with serve(genres_dir=tmp_path) as client:
        schemathesis(client, "--phases", "examples,coverage,fuzzing")


def test_nothing_is_answered_without_a_key(tmp_path: Path) -> None:
    save_constant(tmp_path / "store", "siren")
    token, key = make_key("operator", "admin")
    (tmp_path / "keys").write_text(key.line)
    with serve(models_dir=tmp_path / "store", api_keys_file=tmp_path / "keys") as client:
        document = client.get("/openapi.json").json()
        paths = ("/genres", "/recording", "/models", "/readyz", "/admin/reload")
        assert set(paths) < set(document["paths"])
        chosen = [option for path in paths for option in ("--include-path", path)]
        bearer = f"Authorization: Bearer {token}"
        schemathesis(client, "--phases", "coverage", "--header", bearer, *chosen)
