"""`earshot.Classifier`: the service's answers, without a service."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from earshot import Classifier, Client
from earshot.local import CheckpointError
from earshot.schemas import Progress
from tests.support.serving import ServerClient
from tests.support.sounds import RATE, encode, make

ROOT = Path(__file__).parents[2]
LONG = encode(make("siren", 80_001, seconds=9), RATE, "FLAC")


@pytest.fixture(scope="module")
def classifier(trained_store: Path) -> Iterator[Classifier]:
    with Classifier("urban-sound", store=trained_store) as classifier:
        yield classifier


def test_its_answers_are_those_of_the_service(
    client: ServerClient, classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "siren.flac"
    path.write_bytes(LONG)
    options = {"top_k": 2, "hop_seconds": 0.5, "min_segment_seconds": 3.0}
    progress: list[Progress] = []
    with Client(str(client.base_url)) as asked:
        expected = asked.classify("urban-sound", LONG, **options)
    assert classifier.classify(path, on_progress=progress.append, **options) == expected
    assert progress[-1] == Progress(seconds=9, total=9)
    with path.open("rb") as file:
        for audio in (str(path), LONG, file):
            assert classifier.classify(audio).label == "siren"


def test_many_threads_may_use_it(classifier: Classifier) -> None:
    labels = ["drilling", "car_horn", "siren"] * 2
    sounds = [encode(make(label, 80_002)) for label in labels]
    with ThreadPoolExecutor(3) as pool:
        assert [found.label for found in pool.map(classifier.classify, sounds)] == labels


def test_what_is_wrong_is_raised(classifier: Classifier, trained_store: Path) -> None:
    with pytest.raises(ValueError, match="send WAV, FLAC"):
        classifier.classify(b"no sound")
    with pytest.raises(FileNotFoundError):
        classifier.classify("no/such/file.wav")
    with pytest.raises(CheckpointError, match="accepted: hann"):
        Classifier("urban-sound", "hamming", store=trained_store)
    closed = Classifier("urban-sound", "hann", store=str(trained_store))
    closed.close()
    closed.close()
    with pytest.raises(RuntimeError, match="the classifier is closed"):
        closed.classify(LONG)


def test_one_that_is_not_closed_does_not_keep_the_process(
    trained_store: Path, tmp_path: Path
) -> None:
    (tmp_path / "siren.flac").write_bytes(LONG)
    code = (
        "import sys; from earshot import Classifier; path, store = sys.argv[1:]; "
        "print(Classifier('urban-sound', store=store).classify(path).label)"
    )
    command = [sys.executable, "-c", code, tmp_path / "siren.flac", trained_store]
    found = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "siren\n", "")
