"""`POST /explain/{task}` over a real socket, with the checkpoints that are shipped."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from app.checkpoints import store
from tests.e2e.test_classify import BAD_RECORDINGS, problem
from tests.support.serving import ServerClient, serve
from tests.support.sounds import encode, make

STORE = Path(__file__).parents[2] / "models_store"
URBAN = "/explain/urban-sound"
SIREN = encode(make("siren", 1))


@pytest.fixture(scope="module")
def shipped() -> Iterator[ServerClient]:
    with serve(max_upload_bytes=2_000_000, max_render_seconds=60) as client:
        yield client


def post(
    client: httpx.Client, data: bytes = SIREN, path: str = URBAN, **query: str | int
) -> httpx.Response:
    return client.post(path, files={"file": ("clip.wav", data)}, params=query)


def test_the_maps_of_all_labels_give_the_answer(shipped: ServerClient) -> None:
    card = store.load(STORE, store.ModelKey("urban-sound", "hann")).card
    answer = shipped.post("/classify/urban-sound", files={"file": SIREN}, params={"top_k": 10})
    expected = {each["label"]: each["probability"] for each in answer.json()["ranked"]}
    logits = []
    for label in card.labels:
        explanation = post(shipped, format="json", label=label).json()
        assert explanation["probability"] == pytest.approx(expected[label], abs=2e-3)
        logits.append(np.mean(explanation["map"]) + explanation["bias"])
    probabilities = softmax(np.array(logits) / card.temperature)
    np.testing.assert_allclose(probabilities, list(map(expected.get, card.labels)), atol=0.03)


def test_the_whole_answer(shipped: ServerClient) -> None:
    """The last of three clips is explained."""
    long = encode(make("siren", 7, seconds=7.0))
    response = post(shipped, long, format="json", clip=3)
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    classified = shipped.post("/classify/urban-sound", files={"file": long}).json()
    assert answer["task"] == "urban-sound"
    assert answer["label"] == classified["ranked"][0]["label"]
    assert answer["clip"] == {"clip": 3, "start": 3.0, "end": 7.0}
    assert answer["checkpoint"] == classified["checkpoint"]
    assert np.shape(answer["map"]) == (2, 7)
    # A place for every 32 frames of 20 ms.
    np.testing.assert_allclose(answer["times"], 3 + 0.64 * np.arange(7), atol=1e-3)
    assert answer["frequencies"] == sorted(answer["frequencies"])


def test_pictures(shipped: ServerClient) -> None:
    for format_, media_type in (("png", "image/png"), ("webp", "image/webp")):
        response = post(shipped, format=format_, width=600, height=300)
        assert response.headers["content-type"] == media_type
        image = Image.open(io.BytesIO(response.content))
        assert (image.format, image.size) == (format_.upper(), (600, 300))
    response = post(shipped, format="svg")
    assert response.headers["content-type"] == "image/svg+xml"
    assert b"<svg " in response.content


def test_what_cannot_be_explained_is_said(shipped: ServerClient) -> None:
    detail = problem(post(shipped, label="whale"), 422, "invalid-parameter")
    assert detail.startswith("unknown label 'whale'; accepted: air_conditioner, car_horn, ")
    detail = problem(post(shipped, clip=2), 422, "invalid-parameter")
    assert detail == "the recording has the clips 1 to 1, got 2"
    detail = problem(post(shipped, format="gif"), 422, "invalid-parameter")
    assert "format: Input should be 'png', 'svg', 'webp' or 'json', got 'gif'" in detail
    problem(post(shipped, path="/explain/whales"), 404, "unknown-task")


def test_a_checkpoint_that_is_not_there_cannot_explain(client: ServerClient) -> None:
    detail = problem(post(client, window="rectangular"), 422, "invalid-parameter")
    assert detail == "urban-sound has no checkpoint 'rectangular'; accepted: hann"


def test_silence_cannot_be_explained(shipped: ServerClient) -> None:
    response = post(shipped, encode(np.zeros(16_000, np.float32)))
    assert "dBFS" in problem(response, 422, "silent")


@pytest.mark.parametrize("name", ["text", "too long", "too large"])
def test_a_bad_recording_is_a_problem_of_its_own(shipped: ServerClient, name: str) -> None:
    data, status, kind, detail = BAD_RECORDINGS[name]
    assert detail in problem(post(shipped, data), status, kind)
