"""Clients that ask and do not read, or ask ahead: they are bounded, and hinder nobody."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bench.hostile.flac import silent_flac
from bench.servers import resident_bytes
from tests.e2e.test_hostile_streams import in_flight
from tests.e2e.test_hostile_uploads import MEGABYTE, count_threads
from tests.e2e.test_lifecycle import SIREN, URBAN, until
from tests.e2e.test_slow_clients import connected, open_files
from tests.support.serving import ServerClient, serve

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
MUSIC = b"GET /recording?genre=jazz HTTP/1.1\r\nHost: localhost\r\n\r\n"
OTHER = (
    b"POST /classify/none HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\n"
    b"Content-Length: 4\r\n\r\n\r\n\r\n"
)
CHUNKED = (
    b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\na\r\n0\r\n\r\n"
)


@pytest.fixture(scope="module")
def service(siren_store: Path) -> Iterator[ServerClient]:
    with serve(models_dir=siren_store) as client:
        yield client


def asked(client: ServerClient, content: bytes) -> socket.socket:
    """Return a connection on which so much was sent, and from which nothing is read."""
    connection = connected(client)
    connection.sendall(content)
    return connection


def statuses(answers: bytes) -> list[int]:
    """The statuses of one answer after the other, none of whose bodies has the words `HTTP/1.1`."""
    return [int(each[:3]) for each in answers.split(b"HTTP/1.1 ")[1:]]


def count_recordings(client: ServerClient) -> float:
    """How many were sent as a whole."""
    lines = client.get("/metrics").text.splitlines()
    wanted = 'earshot_requests_total{method="GET",route="/recording",status="200"} '
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


def to_the_end(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(1 << 20):
        received += part
    return received


def test_requests_ahead_are_answered_one_after_the_other(service: ServerClient) -> None:
    """However they are cut into pieces: a body may look as the end of a head does."""
    content = (HEALTH + OTHER) * 20 + CHUNKED
    with connected(service) as whole:
        whole.sendall(content)
        whole.settimeout(30)
        answers = b""
        while len(statuses(answers)) < 41:
            answers += whole.recv(1 << 16)
        whole.sendall(LAST)  # behind chunks it has to wait for its turn
        assert statuses(answers + to_the_end(whole)) == [200, 404] * 20 + [405, 200]
    with connected(service) as pieces:
        pieces.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEALTH + OTHER + OTHER + LAST:
            pieces.sendall(bytes([byte]))
        assert statuses(to_the_end(pieces)) == [200, 404, 404, 200]


def test_what_comes_before_its_turn_behind_chunks_ends_the_connection(
    service: ServerClient,
) -> None:
    with connected(service) as hasty:
        hasty.sendall(CHUNKED + HEALTH + HEALTH)
        assert statuses(to_the_end(hasty)) == [405]


def test_what_comes_behind_the_last_request_costs_no_answer(service: ServerClient) -> None:
    """It is read and passed over: closed before, the kernel would reset the connection."""
    for _ in range(20):
        with connected(service) as talkative:
            talkative.sendall(LAST + HEALTH * 20_000)
            assert statuses(to_the_end(talkative)) == [200]


def test_requests_far_ahead_are_left_to_the_kernel(service: ServerClient) -> None:
    """40 MB of them: they are not taken in, and the first are answered all the same."""
    before = resident_bytes(service.process_id)
    with connected(service) as far_ahead:
        far_ahead.settimeout(1)
        content, sent = HEALTH * 10_000, 0
        with contextlib.suppress(TimeoutError):
            while sent < 40 * MEGABYTE:
                sent += far_ahead.send(content)
        assert sent < 40 * MEGABYTE
        far_ahead.settimeout(30)
        assert far_ahead.recv(15) == b"HTTP/1.1 200 OK"
        assert resident_bytes(service.process_id) - before < 20 * MEGABYTE


def test_work_ends_with_a_client_that_asked_ahead(siren_store: Path) -> None:
    bomb = silent_flac(599, 48_000, 2)
    head = (
        "POST /classify/urban-sound HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/flac\r\n"
        f"Content-Length: {len(bomb)}\r\n\r\n"
    )
    with serve(models_dir=siren_store, threads=1, decoder_processes=1) as client:
        ahead = [connected(client) for _ in range(8)]
        for each in ahead:
            each.sendall(head.encode() + bomb + HEALTH)
        until(lambda: in_flight(client) == 8)
        for each in ahead:
            each.close()
        began = time.monotonic()
        until(lambda: in_flight(client) == 0)
        assert time.monotonic() - began < 20


def test_answers_that_nobody_reads_hold_little(siren_store: Path) -> None:
    """200 connections of 50 requests each for music, and all else goes on; so does SIGTERM."""
    with (
        serve(models_dir=siren_store, client_timeout_seconds=3) as client,
        contextlib.ExitStack() as held,
    ):
        assert client.post(URBAN, files={"file": SIREN}).json()["label"] == "siren"
        assert client.get("/recording?genre=jazz").status_code == 200
        before, threads = resident_bytes(client.process_id), count_threads(client)
        files = open_files(client)
        for _ in range(200):
            held.enter_context(asked(client, MUSIC * 50))
        until(lambda: open_files(client) >= files + 64)
        assert httpx.get(f"{client.base_url}/healthz").status_code == 200
        assert client.post(URBAN, files={"file": SIREN}).json()["label"] == "siren"
        assert resident_bytes(client.process_id) - before < 80 * MEGABYTE
        assert count_threads(client) <= threads + 4
        until(lambda: open_files(client) <= files + 1)
        assert count_recordings(client) <= 600  # 150 kB each: the kernel took little, for nobody
        for _ in range(50):
            held.enter_context(asked(client, MUSIC * 50))
        until(lambda: open_files(client) >= files + 50)
        began = time.monotonic()
        client.signal(signal.SIGTERM)
        assert client.wait() == 0
        assert time.monotonic() - began < 20  # not the 30 s of accepted requests


def test_of_too_many_unread_answers_those_beyond_are_not_waited_for(siren_store: Path) -> None:
    """An eighth of the connections may be; beyond it, one that was not read for a while ends."""
    with (
        serve(models_dir=siren_store, max_connections=16, client_timeout_seconds=70) as client,
        contextlib.ExitStack() as held,
    ):
        before = open_files(client)
        for _ in range(6):
            held.enter_context(asked(client, MUSIC * 50))
        until(lambda: open_files(client) >= before + 5)
        until(lambda: open_files(client) <= before + 4)  # each has a file open
