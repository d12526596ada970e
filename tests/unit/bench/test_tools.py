"""The tools of docs/reliability.md still do what they say, at a small size."""

import json
import sys
from pathlib import Path

import pytest

from bench import soak
from bench.faults.load import Size
from bench.faults.storage import checkpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_soak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["soak", "--requests", "60", "--out", str(tmp_path)])
    soak.main()
    assert "| all | 60 | 56 x 200, 1 x 415, 3 x 422 | 0 | 0 | 0 |" in capsys.readouterr().out
    result = json.loads((tmp_path / "soak.json").read_text())
    assert {row["kind"] for row in result["kinds"] if row["outcome"] == 200} > {
        "urban-sound m4a",
        "emotion ogg",
        "spectrogram",
    }
    assert list(result["usage"])[-1] == "60"
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


def test_a_fault() -> None:
    damaged, refused, replaced = checkpoint(Size(requests=60, bad_clients=0))[1:]
    assert (damaged["refused 503"], damaged["state"]) == (15, "ready; failed")
    for row, state in ((refused, "refused"), (replaced, "taken over")):
        assert (row["answered"], row["lost"], row["state"]) == ("60 x 200", 0, state)
