"""Clients that keep the service waiting: they are bounded, and hinder nobody. Real sockets."""

import contextlib
import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.test_classify import problem
from tests.e2e.test_lifecycle import PATIENCE_SECONDS, SIREN, URBAN, Unfinished, accepted, until
from tests.support.serving import ServerClient, serve

HEAD = f"POST {URBAN} HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def hurried(siren_store: Path) -> Iterator[ServerClient]:
    """A service that waits for no client longer than half a second."""
    with serve(
        models_dir=siren_store, client_timeout_seconds=0.5, min_upload_bytes_per_second=1e9
    ) as client:
        yield client


def connected(client: ServerClient) -> socket.socket:
    address = (client.base_url.host, client.base_url.port)
    return socket.create_connection(address, timeout=PATIENCE_SECONDS)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, object]]:
    response = HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return response.status, headers, json.load(response)


def count_problems(client: ServerClient, problem_type: str) -> float:
    wanted = f'earshot_problems_total{{type="{problem_type}"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


def test_a_head_that_does_not_end_is_refused(hurried: ServerClient) -> None:
    before = count_problems(hurried, "too-slow")
    with connected(hurried) as slow:
        slow.sendall(HEAD.encode())
        status, headers, found = answer(slow)
        assert slow.recv(1) == b""
    assert (status, found["type"]) == (408, "/problems/too-slow")
    assert "within 0.5 s" in str(found["detail"])
    assert found["request_id"] == headers["x-request-id"]
    assert headers["content-type"] == "application/problem+json"
    assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")
    assert count_problems(hurried, "too-slow") == before + 1


def test_a_connection_that_says_nothing_is_closed_without_a_word(hurried: ServerClient) -> None:
    with connected(hurried) as silent:
        assert silent.recv(1) == b""


def test_a_body_that_does_not_end_is_refused(hurried: ServerClient) -> None:
    slow = Unfinished(hurried, URBAN, "audio/wav", len(SIREN))
    slow.send(SIREN[:1000])
    response = slow.answer()
    assert (response.status, response.headers["connection"]) == (408, "close")
    found = json.load(response)
    assert found["type"] == "/problems/too-slow"
    assert found["detail"].startswith("1000 bytes of the body came in ")
    assert "pause no longer than 0.5 s in all" in found["detail"]


def test_a_refused_body_is_not_waited_for(hurried: ServerClient) -> None:
    """It was answered, but its client goes on: a byte now and then would keep it for ever."""
    with connected(hurried) as slow:
        slow.sendall(f"{HEAD}Content-Type: text/plain\r\nContent-Length: 9\r\n\r\n".encode())
        assert answer(slow)[0] == 415
        assert slow.recv(1) == b""


def test_live_sound_that_does_not_come_is_not_waited_for(hurried: ServerClient) -> None:
    address = f"ws://{hurried.base_url.netloc.decode()}/stream/urban-sound?sample_rate=16000"
    with connect(address) as live, pytest.raises(ConnectionClosed) as closed:
        live.recv(timeout=PATIENCE_SECONDS)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        1008,
        "no sound was sent for 0.5 s",
    )


def test_answers_that_are_not_taken_are_broken_off(hurried: ServerClient) -> None:
    """More of them than the kernel's buffers hold."""
    before = open_files(hurried)
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect((hurried.base_url.host, hurried.base_url.port))
        idle.sendall(b"GET /recording?genre=jazz HTTP/1.1\r\nHost: x\r\n\r\n" * 90)
        until(lambda: open_files(hurried) > before)
        until(lambda: open_files(hurried) == before)


def open_files(client: ServerClient) -> int:
    return sum(1 for _ in Path(f"/proc/{client.process_id}/fd").iterdir())


@pytest.mark.skipif(find_spec("httptools") is None, reason="h11 reads no request before its turn")
def test_requests_are_not_piled_up(hurried: ServerClient) -> None:
    with connected(hurried) as hasty:
        hasty.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        answers = b""
        with contextlib.suppress(ConnectionError):
            while more := hasty.recv(1 << 20):
                answers += more
        assert answers.count(b"200 OK") <= 101


def test_slow_bodies_give_way_when_places_are_short(siren_store: Path) -> None:
    """All places are held by clients that send nothing; an ordinary one is answered."""
    with serve(models_dir=siren_store, max_requests=4, client_timeout_seconds=20) as client:
        slow = [accepted(client) for _ in range(4)]
        while (response := client.post(URBAN, files={"file": SIREN})).status_code == 503:
            assert response.headers["retry-after"] == "1"  # they may still come: a second
        assert response.json()["label"] == "siren"
        gone = slow[0].answer()
        assert (gone.status, gone.headers["retry-after"]) == (503, "1")
        assert "another request needed the slot" in json.load(gone)["detail"]
        for request in slow[1:]:  # nobody needs theirs
            request.send(SIREN)
            assert json.load(request.answer())["label"] == "siren"


def test_a_large_upload_finds_memory_or_is_told_and_a_clip_always_does(siren_store: Path) -> None:
    large = SIREN + bytes(9 << 20)  # behind the end of the file: let alone
    limits = {"max_upload_bytes": 16 << 20, "upload_memory_bytes": 16 << 20}
    with serve(models_dir=siren_store, client_timeout_seconds=20, **limits) as client:
        held = Unfinished(client, URBAN, "audio/wav", 16 << 20)
        held.send(bytes(31 << 19))
        headers = {"Content-Type": "audio/wav"}

        def post() -> httpx.Response:
            return client.post(URBAN, content=large, headers=headers)

        until(lambda: post().status_code == 503)
        refusal = post()
        assert "leave no memory" in problem(refusal, 503, "overloaded")
        assert refusal.headers["retry-after"] == "1"
        assert client.post(URBAN, files={"file": SIREN}).json()["label"] == "siren"
        held.close()
        until(lambda: post().status_code == 200)


def test_the_connection_that_is_idle_for_longest_makes_room(siren_store: Path) -> None:
    with serve(models_dir=siren_store, max_connections=3, client_timeout_seconds=600) as client:
        busy = accepted(client)
        idle = [connected(client) for _ in range(2)]
        for connection in idle:
            connection.sendall(HEAD.encode())
        anew = f"{client.base_url}/healthz"
        assert httpx.get(anew).status_code == 200
        assert idle[0].recv(1) == b""
        others = [accepted(client), accepted(client)]
        assert idle[1].recv(1) == b""
        refusal = httpx.get(anew)
        assert "3 connections already" in problem(refusal, 503, "overloaded")
        assert refusal.headers["retry-after"] == "1"
        for request in (busy, *others):
            request.send(SIREN)
            assert json.load(request.answer())["label"] == "siren"
