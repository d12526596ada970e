"""`/stream/{task}` over a real socket."""

import json

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.sounds import RATE, make


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32_767).astype("<i2").tobytes()


def stream(client: httpx.Client, query: str = f"sample_rate={RATE}") -> ClientConnection:
    host, port = client.base_url.host, client.base_url.port
    return connect(f"ws://{host}:{port}/stream/urban-sound?{query}", close_timeout=30)


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
        connection.send(pcm(sound))
        assert json.loads(connection.recv(timeout=60))["label"] == "car_horn"


def test_silence_is_heard_as_such(client: httpx.Client) -> None:
    with stream(client, f"sample_rate={RATE}&hop_seconds=2") as connection:
        connection.send(bytes(2 * 2 * RATE))
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


def test_a_checkpoint_that_is_not_there_closes_with_the_reason(client: httpx.Client) -> None:
    with stream(client, f"sample_rate={RATE}&window=hamming") as connection:
        code, reason = closed(connection)
    assert code == 1008
    assert reason == "urban-sound has no checkpoint 'hamming'; accepted: hann"


@pytest.mark.parametrize("query", ["", "sample_rate=12", "sample_rate=fast"])
def test_a_rate_that_is_wrong_is_refused(client: httpx.Client, query: str) -> None:
    with (
        pytest.raises(Exception, match=r"403|1008"),
        stream(client, query) as connection,
    ):
        connection.recv(timeout=60)


def test_a_client_that_vanishes_harms_nobody(client: httpx.Client) -> None:
    connection = stream(client)
    connection.send(pcm(make("siren", 1)))
    connection.socket.close()
    with stream(client) as other:
        other.send(pcm(make("siren", 1, seconds=2.1)))
        assert json.loads(other.recv(timeout=60))["label"] == "siren"
