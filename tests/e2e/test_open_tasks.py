"""A task of one's own: trained from folders, then known to every part without a change of code."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import ServerClient, serve
from tests.support.sounds import encode, make

ROOT = Path(__file__).parents[2]
TASK = "machine-faults"
LABELS = ("car_horn", "drilling", "siren")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one checkpoint of three own labels, trained by the command line."""
    work = tmp_path_factory.mktemp("faults")
    for label in LABELS:
        for number in range(10):
            path = work / "recordings" / label / f"machine-{number}" / "a.wav"
            path.parent.mkdir(parents=True)
            path.write_bytes(encode(make(label, number)))
    command = [
        *(sys.executable, "-m", "earshot", "train", "--task", TASK),
        *("--folders", str(work / "recordings"), "--name", "first"),
        *("--epochs", "2", "--batch-size", "8", "--out", str(work / "run")),
        *("--pretrained", str(ROOT / "models_store" / "urban-sound" / "hann")),
        *("--cache", str(work / "cache"), "--store", str(work / "store")),
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return work / "store"


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[ServerClient]:
    with serve(models_dir=store) as client:
        yield client


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    path.write_bytes(encode(make("siren", 99)))
    return path


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_gets_an_answer(client: ServerClient, clip: Path) -> None:
    address = f"{client.base_url}/classify/{TASK}"
    process = subprocess.run(
        ["curl", "-sS", "-F", f"file=@{clip}", address], capture_output=True, check=True
    )
    answer = json.loads(process.stdout)
    assert (answer["task"], answer["label"]) == (TASK, "siren")
    assert {entry["label"] for entry in answer["ranked"]} == set(LABELS)
    assert answer["checkpoint"]["name"] == "first"


def test_the_command_line_gets_the_same_with_and_without_the_service(
    client: ServerClient, store: Path, clip: Path
) -> None:
    for where in (("--server", str(client.base_url)), ("--local", "--store", str(store))):
        command = [sys.executable, "-m", "earshot", "classify", "--task", TASK]
        process = subprocess.run(
            [*command, "--format", "json", *where, str(clip)], capture_output=True, check=True
        )
        [answer] = json.loads(process.stdout)
        assert (answer["label"], answer["checkpoint"]["name"]) == ("siren", "first")


def test_every_route_knows_the_task(client: ServerClient, clip: Path) -> None:
    [model] = client.get("/models").json()["models"]
    assert (model["task"], model["name"], model["network"]) == (TASK, "first", "resnet50")
    assert model["labels"] == list(LABELS)
    scores = client.post(f"/hf/{TASK}", content=clip.read_bytes()).json()
    assert scores[0]["label"] == "siren"
    files = {"file": clip.read_bytes()}
    explanation = client.post(f"/explain/{TASK}", files=files, params={"format": "json"}).json()
    assert (explanation["task"], explanation["label"]) == (TASK, "siren")
    document = client.get("/openapi.json").json()
    parameters = document["paths"]["/classify/{task}"]["post"]["parameters"]
    schemas = {each["name"]: each["schema"].get("$ref") for each in parameters}
    assert schemas["task"] == "#/components/schemas/Task"
    assert schemas["checkpoint"] == schemas["window"] == "#/components/schemas/CheckpointName"
    components = document["components"]["schemas"]
    assert components["Task"]["enum"] == [TASK]
    assert components["CheckpointName"]["enum"] == ["first"]
    metrics = client.get("/metrics").text
    assert f'earshot_predictions_total{{checkpoint="first",label="siren",task="{TASK}"}}' in metrics


def test_a_task_that_is_not_there_names_it(client: ServerClient, clip: Path) -> None:
    response = client.post("/classify/emotion", content=clip.read_bytes())
    assert response.status_code == 404
    assert response.json()["detail"] == f"there is no task 'emotion'; there are: {TASK}"
