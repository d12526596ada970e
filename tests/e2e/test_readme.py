"""The commands of README.md can be typed as they stand, and give the answers that it shows."""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import ServerClient, serve

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def shipped() -> Iterator[ServerClient]:
    with serve(preload="none") as client:
        yield client


def test_it_is_read_in_a_minute() -> None:
    assert 110 <= len(README.splitlines()) <= 140


def test_the_first_answer_is_true(shipped: ServerClient) -> None:
    shown = re.search(rf"\$ curl -F file=@(\S+) {ADDRESS}(\S+)\n(\{{.*?\n\}})", README, re.S)
    assert shown
    expected = json.loads(shown[3])
    answer = shipped.post(shown[2], files={"file": (ROOT / shown[1]).read_bytes()}).json()
    for numbers in (expected, answer):
        numbers["probability"] = round(numbers["probability"], 1)
        for part in numbers["ranked"]:
            part["probability"] = round(part["probability"], 1)
    # Processors differ in what they make of int8: the order of what is improbable may too.
    assert {**answer, "ranked": answer["ranked"][:1]} == {
        **expected,
        "ranked": expected["ranked"][:1],
    }
    assert len(answer["ranked"]) == len(expected["ranked"])


def test_the_lines_of_python_run(shipped: ServerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    [lines] = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(lines.replace(ADDRESS, str(shipped.base_url)))
    heard = [line.split() for line in output.getvalue().splitlines()]
    assert [label for _, _, label in heard if label != "None"] == [
        "dog_bark",
        "siren",
        "jackhammer",
    ]
    assert heard[0] == ["0.0", "4.0", "dog_bark"]
