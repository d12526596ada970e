"""The recordings of `examples/`, answered by the checkpoints that answer by default as shipped."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import ServerClient, serve

EXAMPLES = Path(__file__).parents[2] / "examples"
LISTED = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shipped() -> Iterator[ServerClient]:
    with serve(preload="none") as client:
        yield client


def test_every_recording_is_listed_and_small() -> None:
    recordings = {path.name: path for path in EXAMPLES.glob("*.ogg")}
    assert set(recordings) == {each["file"] for each in LISTED}
    assert len(recordings) >= 8
    assert max(path.stat().st_size for path in recordings.values()) < 100_000


@pytest.mark.parametrize("example", LISTED, ids=lambda example: example["file"])
def test_each_has_its_own_label(shipped: ServerClient, example: dict[str, Any]) -> None:
    recording = (EXAMPLES / example["file"]).read_bytes()
    answer = shipped.post(f"/classify/{example['task']}", files={"file": recording}).json()
    assert answer["label"] == example["label"]
    if "segments" in example:
        heard = [each["label"] for each in answer["segments"] if each["label"]]
        assert heard == example["segments"]
