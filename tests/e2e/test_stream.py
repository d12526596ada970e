"""`/stream/{task}` over a real socket."""

import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.test_classify import problem
from tests.support.serving import ServerClient, serve
from tests.support.sounds import RATE, make


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32_767).astype("<i2").tobytes()


def stream(client: httpx.Client, query: str = f"sample_rate={RATE}") -> ClientConnection:
    host, port = client.base_url.host, client.base_url.port
    return connect(f"ws://{host}:{port}/stream/urban-sound?{query}", close_timeout=30)


def send(connection: ClientConnection, sound: np.ndarray, rate: int = RATE) -> None:
    """Send sound, in messages of at most a second."""
    for start in range(0, sound.size, rate):
        connection.send(pcm(sound[start : start + rate]))


def closed(connection: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as error:
        connection.recv(timeout=60)
    assert error.value.rcvd is not None
    return error.value.rcvd.code, error.value.rcvd.reason


def test_each_hop_is_answered_whatever_the_pieces(client: httpx.Client) -> None:
    sound = np.concatenate([make("siren", 7, seconds=6.1), make("drilling", 8, seconds=6)])
    data = pcm(sound)
    with stream(client, f"sample_rate={RATE}&hop_seconds=2&top_k=2") as connection:
        for start in range(0, len(data), 5_000):
            connection.send(data[start : start + 5_000])
        answers = [json.loads(connection.recv(timeout=60)) for _ in range(5)]
    assert [answer["end"] for answer in answers] == [2, 4, 6, 8, 10]
    assert [answer["start"] for answer in answers] == [0, 0, 2, 4, 6]
    assert [answers[i]["label"] for i in (0, 1, 2)] == ["siren"] * 3
    assert answers[4]["label"] == "drilling"
    assert all(len(answer["ranked"]) == 2 for answer in answers)


def test_other_rates_are_resampled(client: httpx.Client) -> None:
    sound = np.repeat(make("car_horn", 9, seconds=3), 2)  # the same at twice the rate
    with stream(client, f"sample_rate={2 * RATE}&hop_seconds=2") as connection:
        send(connection, sound, 2 * RATE)
        assert json.loads(connection.recv(timeout=60))["label"] == "car_horn"


def test_silence_is_heard_as_such(client: httpx.Client) -> None:
    with stream(client, f"sample_rate={RATE}&hop_seconds=2") as connection:
        send(connection, np.zeros(2 * RATE))
        answer = json.loads(connection.recv(timeout=60))
    assert (answer["label"], answer["reason"], answer["ranked"]) == (None, "silent", [])


def test_half_a_sample_closes_with_the_reason(client: httpx.Client) -> None:
    with stream(client) as connection:
        connection.send(b"\0" * 101)
        assert closed(connection) == (
            1007,
            "a message of 101 bytes ends in the middle of a 16-bit sample",
        )


def test_text_closes_with_the_reason(client: httpx.Client) -> None:
    with stream(client) as connection:
        connection.send("hello")
        assert closed(connection) == (1003, "send binary messages of 16-bit PCM, not text")


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "the query parameter sample_rate is required"),
        ("sample_rate=12", "sample_rate: Input should be greater than or equal to 4000, got '12'"),
        (f"sample_rate={RATE}&topk=2", "unknown query parameter 'topk'; did you mean top_k?"),
        (
            f"sample_rate={RATE}&window=hamming",
            "urban-sound has no checkpoint 'hamming'; accepted: hann",
        ),
    ],
)
def test_a_refusal_is_a_problem_in_the_place_of_the_handshake(
    client: ServerClient, query: str, detail: str
) -> None:
    with pytest.raises(InvalidStatus) as refused, stream(client, query):
        pass
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(response.body)
    assert (response.status_code, body["status"]) == (422, 422)
    assert (body["type"], body["detail"]) == ("/problems/invalid-parameter", detail)
    assert body["request_id"] == response.headers["x-request-id"]
    # To its page, a browser shows nothing of a refusal: there is another way to be told.
    assert problem(client.get(f"/stream/urban-sound?{query}"), 422, "invalid-parameter") == detail
    assert " ERROR " not in client.log.text


@pytest.mark.parametrize(
    ("path", "kind"), [("/stream/whales", "/problems/unknown-task"), ("/nowhere", "about:blank")]
)
def test_a_stream_of_nothing_is_not_found(client: httpx.Client, path: str, kind: str) -> None:
    address = f"ws://{client.base_url.host}:{client.base_url.port}{path}?sample_rate={RATE}"
    with pytest.raises(InvalidStatus) as refused, connect(address):
        pass
    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body)["type"] == kind


def test_a_damaged_checkpoint_is_told_before_anything_is_sent(
    trained_store: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(trained_store, tmp_path / "store")
    (root / "urban-sound" / "hann" / "model.onnx").write_bytes(b"no model")
    with (
        serve(models_dir=root, preload="none") as client,
        pytest.raises(InvalidStatus) as refused,
        stream(client),
    ):
        pass
    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body)["type"] == "/problems/checkpoint-unavailable"


def test_what_is_no_handshake_is_told_so(client: httpx.Client) -> None:
    response = client.get("/stream/urban-sound", params={"sample_rate": RATE})
    assert "ws://" in problem(response, 426, "upgrade-required")
    assert response.headers["upgrade"] == "websocket"


def test_a_client_that_vanishes_harms_nobody(client: httpx.Client) -> None:
    connection = stream(client)
    send(connection, make("siren", 1))
    connection.socket.close()
    with stream(client) as other:
        send(other, make("siren", 1, seconds=2.1))
        assert json.loads(other.recv(timeout=60))["label"] == "siren"
