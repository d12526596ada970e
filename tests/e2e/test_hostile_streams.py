"""Live sound that is none: it takes little memory and no place, and ends with its client."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bench.servers import resident_bytes
from tests.e2e.test_lifecycle import PATIENCE_SECONDS, SIREN, URBAN, until
from tests.e2e.test_slow_clients import connected
from tests.e2e.test_stream import closed, send
from tests.support.serving import ServerClient, serve
from tests.support.sounds import make

MEGABYTE = 1_000_000
HOP = "sample_rate=4000&hop_seconds=0.25"
SECOND = np.zeros(4000)


@pytest.fixture(scope="module")
def service(siren_store: Path) -> Iterator[ServerClient]:
    with serve(models_dir=siren_store, max_live_streams=4) as client:
        assert client.post(URBAN, files={"file": SIREN}).status_code == 200
        yield client


def live(client: ServerClient, query: str = HOP, **options: object) -> ClientConnection:
    address = f"ws://{client.base_url.netloc.decode()}/stream/urban-sound?{query}"
    return connect(address, close_timeout=PATIENCE_SECONDS, **options)


def in_flight(client: ServerClient) -> float:
    return figure(client, "earshot_requests_in_flight") - 1  # but for the scrape itself


def figure(client: ServerClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_nothing_is_inflated_and_a_message_is_a_second_at_most(service: ServerClient) -> None:
    before = resident_bytes(service.process_id)
    with live(service, compression="deflate") as connection:
        assert connection.protocol.extensions == []
        with contextlib.suppress(ConnectionClosed):  # refused before all of it was sent
            connection.send(bytes(15 << 20))
        with pytest.raises(ConnectionClosed) as error:
            connection.recv(timeout=PATIENCE_SECONDS)
    assert error.value.sent is None or error.value.sent.code == 1009
    assert service.peak_memory() - before < 20 * MEGABYTE
    with live(service) as connection:
        connection.send(bytes(8002))
        assert closed(connection) == (
            1009,
            "a message holds 1.00 s of sound; send a second at most",
        )


def test_work_ends_with_its_client(service: ServerClient) -> None:
    """Of 32 s in a queue, 128 predictions at ten milliseconds or so each, hardly any is made."""
    before = figure(service, "earshot_audio_seconds_total")
    for _ in range(4):
        with live(service) as connection:
            for _ in range(32):
                send(connection, SECOND, 4000)
            connection.socket.close()
    until(lambda: in_flight(service) == 0)
    assert figure(service, "earshot_audio_seconds_total") - before < 4 * 32 / 2


def test_live_sound_takes_places_of_its_own_and_what_is_none_gives_way(
    service: ServerClient,
) -> None:
    """All of them are held by sockets that send next to nothing; another one is heard."""
    idle = [connected(service) for _ in range(4)]
    for each in idle:
        upgrade(each)
    until(lambda: in_flight(service) == 4)
    assert service.post(URBAN, files={"file": SIREN}).json()["label"] == "siren"
    answers = []
    while not answers or answers[-1] != "siren":
        try:
            with live(service, "sample_rate=16000") as connection:
                send(connection, make("siren", 1, seconds=1.0))
                answers.append(json.loads(connection.recv(timeout=PATIENCE_SECONDS))["label"])
        except InvalidStatus as error:
            answers.append(json.loads(error.response.body)["detail"])
        for each in idle:
            with contextlib.suppress(OSError):  # one of them has lost its place
                each.sendall(b"\x82\x80\0\0\0\0")
    refusal = "4 requests are being answered already; try again in a moment"
    assert set(answers) == {refusal, "siren"}  # each has a while to send
    for each in idle:
        each.close()
    until(lambda: in_flight(service) == 0)


def upgrade(connection: socket.socket) -> None:
    connection.sendall(
        f"GET /stream/urban-sound?{HOP} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")


def test_sound_is_owed(siren_store: Path) -> None:
    """A sample now and then is no sound."""

    def go_on(slow: ClientConnection) -> None:
        while True:
            slow.send(bytes(2))
            with contextlib.suppress(TimeoutError):
                slow.recv(timeout=0.1)

    with (
        serve(models_dir=siren_store, client_timeout_seconds=3) as client,
        live(client) as slow,
        pytest.raises(ConnectionClosed) as error,
    ):
        go_on(slow)
    assert error.value.rcvd is not None
    assert error.value.rcvd.code == 1008
    assert error.value.rcvd.reason.endswith(
        "send at least 0.5 s of sound a second, and never pause for more than 3 s"
    )


@pytest.mark.parametrize("frame", [b"\x82\x80\0\0\0\0", b"\x89\x80\0\0\0\0"], ids=["empty", "ping"])
def test_frames_that_hold_nothing_are_not_read_for_ever(
    service: ServerClient, frame: bytes
) -> None:
    with connected(service) as hasty:
        upgrade(hasty)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                hasty.sendall(frame * 1000)
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := hasty.recv(65_536):
                received += part
    assert received == b"" or b"frames hold too little" in received
    until(lambda: in_flight(service) == 0)


def test_a_client_that_reads_nothing_is_not_answered_for_ever(service: ServerClient) -> None:
    """It pings with what is large enough to be a frame, and reads no pong."""
    ping = b"\x89\xfd" + bytes(4 + 125)
    before = resident_bytes(service.process_id)
    with connected(service) as deaf:
        upgrade(deaf)
        deaf.settimeout(1)
        with contextlib.suppress(OSError):
            for _ in range(1000):
                deaf.sendall(ping * 1000)
        assert service.peak_memory() - before < 20 * MEGABYTE
        assert httpx.get(f"{service.base_url}/healthz").status_code == 200
    until(lambda: in_flight(service) == 0)
