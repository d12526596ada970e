"""Clients that keep the service waiting: they are bounded, and hinder nobody. Real sockets."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.test_classify import problem
from tests.e2e.test_lifecycle import PATIENCE_SECONDS, SIREN, URBAN, Unfinished, accepted, until
from tests.support.serving import ServerClient, serve

HEAD = f"POST {URBAN} HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def hurried(siren_store: Path) -> Iterator[ServerClient]:
    """A service that waits for no client longer than half a second."""
    with serve(
        models_dir=siren_store, client_timeout_seconds=0.5, min_bytes_per_second=1e9
    ) as client:
        # One that is kept may be closed in the moment in which it is used again.
        client.headers["Connection"] = "close"
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
    assert found["detail"].startswith("1000 bytes came in ")
    assert found["detail"].endswith("and never pause for more than 0.5 s")


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
    assert closed.value.rcvd.code == 1008
    assert closed.value.rcvd.reason.startswith("0 s of sound came in 0.")


def test_answers_that_are_not_taken_are_broken_off(hurried: ServerClient) -> None:
    """More of them than the kernel's buffers hold."""
    before = open_files(hurried)
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect((hurried.base_url.host, hurried.base_url.port))
        idle.sendall(b"GET /recording?genre=jazz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 90)
        until(lambda: open_files(hurried) > before)
        until(lambda: open_files(hurried) == before)


def open_files(client: ServerClient) -> int:
    return sum(1 for _ in Path(f"/proc/{client.process_id}/fd").iterdir())


def test_slow_bodies_give_way_when_places_are_short(siren_store: Path) -> None:
    """All places are held by clients that send nothing; an ordinary one is answered."""
    with serve(models_dir=siren_store, max_requests=4, client_timeout_seconds=20) as client:
        slow = [accepted(client) for _ in range(4)]
        began = time.monotonic()
        while (response := client.post(URBAN, files={"file": SIREN})).status_code == 503:
            assert response.headers["retry-after"] == "1"  # they may still come: a second
        assert response.json()["label"] == "siren"
        assert time.monotonic() - began < 10  # a twentieth of the 20 s, and what a clip takes
        gone = slow[0].answer()
        assert (gone.status, gone.headers["retry-after"]) == (503, "1")
        assert "another request needed its place" in json.load(gone)["detail"]
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
        assert httpx.get(anew).status_code == 200  # probes are answered, and nothing else
        refusal = httpx.get(f"{client.base_url}/models")
        assert "3 connections already" in problem(refusal, 503, "overloaded")
        assert (refusal.headers["retry-after"], refusal.headers["connection"]) == ("1", "close")
        for request in (busy, *others):
            request.send(SIREN)
            assert json.load(request.answer())["label"] == "siren"


def test_pictures_take_no_slots_from_recordings(siren_store: Path) -> None:
    """However many are asked for; and the other way round."""
    with (
        serve(models_dir=siren_store, max_requests=4, client_timeout_seconds=1000) as client,
        contextlib.ExitStack() as held,
    ):

        def hold(path: str) -> Unfinished:
            upload = Unfinished(client, path, "audio/wav", 1000, "Expect: 100-continue")
            held.enter_context(contextlib.closing(upload)).await_continue()
            return upload

        picture = hold("/spectrogram")
        for asked in (
            client.get("/genres?limit=1"),
            client.get("/spectrogram?genre=jazz"),
            client.post("/spectrogram", files={"file": SIREN}),
            client.post("/explain/urban-sound", files={"file": SIREN}),
        ):
            detail = problem(asked, 503, "overloaded")
            assert detail == "1 requests are being answered already; try again in a moment"
            assert asked.headers["retry-after"] == "1"
        for _ in range(3):
            hold(URBAN)
        assert client.post(URBAN, files={"file": SIREN}).status_code == 200
        picture.close()
        until(lambda: client.get("/genres?limit=1").status_code == 200)


def test_sockets_that_never_answer_the_close_make_room(siren_store: Path) -> None:
    with serve(models_dir=siren_store, max_connections=4, client_timeout_seconds=600) as client:
        closing = [connected(client) for _ in range(4)]
        for each in closing:
            each.sendall(
                b"GET /stream/urban-sound?sample_rate=16000 HTTP/1.1\r\nHost: localhost\r\n"
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            assert each.recv(4096).startswith(b"HTTP/1.1 101 ")
            each.sendall(b"\x81\x80\0\0\0\0")  # text, which is no sound
            assert b"not text" in each.recv(4096)
        for _ in range(6):
            response = httpx.post(
                f"{client.base_url}{URBAN}", content=SIREN, headers={"Content-Type": "audio/wav"}
            )
            assert response.json()["label"] == "siren"
