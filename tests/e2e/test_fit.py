"""`earshot fit`: a few recordings, then a running service that answers with their labels."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.api.api_keys import make_key
from earshot import Client
from tests.support.serving import ServerClient, serve
from tests.support.sounds import encode, make

LABELS = ("car_horn", "drilling", "siren")
# As where torch is not installed.
_WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("torch", "lightning"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import earshot.cli
earshot.cli.main()
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    token, line = make_key("operator", "admin")
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(line.line + "\n")
    return token, path


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, key: tuple[str, Path]
) -> Iterator[ServerClient]:
    """A service that had an empty store when it started, and then was told of what was fitted."""
    work = tmp_path_factory.mktemp("fit")
    (work / "store").mkdir()
    for label in LABELS:
        for number in range(5):
            path = work / "recordings" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(make(label, number)))
    token, keys = key
    with serve(models_dir=work / "store", api_keys_file=keys) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        command = [sys.executable, "-c", _WITHOUT_TORCH, "fit", str(work / "recordings")]
        command += ["--task", "machines", "--store", str(work / "store")]
        process = subprocess.run(
            [*command, "--server", str(client.base_url)],
            env={"PATH": "", "EARSHOT_API_KEY": token, "PYTHONPATH": "."},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        assert "answers: POST /classify/machines" in process.stderr
        yield client


@pytest.mark.parametrize("label", LABELS)
def test_it_answers_with_the_new_labels(server: ServerClient, label: str) -> None:
    answer = server.post("/classify/machines", content=encode(make(label, 77)), headers=RAW).json()
    assert (answer["label"], answer["checkpoint"]["name"]) == (label, "fit")


RAW = {"Content-Type": "audio/wav"}


def test_what_is_like_none_of_them_gets_no_label(server: ServerClient) -> None:
    foreign = encode(make("cat", 1))
    answer = server.post("/classify/machines", content=foreign, headers=RAW).json()
    assert (answer["label"], answer["reason"]) == (None, "out_of_distribution")


def test_it_is_explained_by_occlusion(server: ServerClient) -> None:
    answer = server.post(
        "/explain/machines",
        content=encode(make("siren", 77)),
        headers=RAW,
        params={"format": "json"},
    ).json()
    assert (answer["method"], answer["label"]) == ("occlusion", "siren")


def test_the_embedding_is_the_mean_of_those_of_its_clips(
    server: ServerClient, key: tuple[str, Path]
) -> None:
    recording = encode(make("siren", 5, seconds=7.0))
    with Client(str(server.base_url), api_key=key[0]) as client:
        answer = client.embed("machines", recording)
        unit = client.embed("machines", recording, normalise=True, clips=False)
    assert [(clip.start, clip.end) for clip in answer.clips] == [(0, 4), (2, 6), (3, 7)]
    clips = np.array([clip.embedding for clip in answer.clips])
    assert clips.shape == (3, answer.dimension) == (3, 2048)
    np.testing.assert_allclose(answer.embedding, clips.mean(axis=0), atol=2e-6)
    assert np.ptp(clips, axis=0).max() > 0.01
    assert unit.normalised
    assert unit.clips == []
    length = np.linalg.norm(answer.embedding)
    np.testing.assert_allclose(unit.embedding, answer.embedding / length, atol=2e-6)
    assert answer.checkpoint.name == "fit"


def test_silence_has_no_embedding(server: ServerClient) -> None:
    silence = encode(np.zeros(16_000, np.float32))
    response = server.post("/embed/machines", content=silence, headers=RAW)
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/silent"


def test_silent_clips_are_marked_and_not_in_the_mean(server: ServerClient) -> None:
    sound = np.concatenate([make("siren", 5, seconds=4.0), np.zeros(8 * 16_000, np.float32)])
    answer = server.post("/embed/machines", content=encode(sound), headers=RAW).json()
    silent = [clip.get("silent", False) for clip in answer["clips"]]
    assert silent == [False, False, True, True, True]
    audible = np.array([clip["embedding"] for clip in answer["clips"][:2]])
    np.testing.assert_allclose(answer["embedding"], audible.mean(axis=0), atol=2e-6)
