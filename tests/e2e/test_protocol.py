"""Requests that are too large before their body, on a bare connection."""

import json
import socket

import httpx
import pytest

from app.server.heads import MAX_HEAD_BYTES

HEAD = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = HEAD + b"1\r\na\r\n0\r\n"


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=30)


def to_the_end(connection: socket.socket) -> bytes:
    """All that the server sends before it closes the connection."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def assert_problem(received: bytes, status: int, kind: str) -> str:
    """Check that the last answer is the problem `kind`, as complete as any; return its detail."""
    head, _, body = received[received.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} ")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    found = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert (headers["connection"], headers["x-content-type-options"]) == ("close", "nosniff")
    assert found["request_id"] == headers["x-request-id"]
    assert (found["status"], found["type"]) == (status, f"/problems/{kind}")
    detail: str = found["detail"]
    return detail


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", "send one header Host, got none"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "send one header Host, got 2"),
        (b"GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "send one header Host, got 2"),
        (b"GET /healthz\r\n\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "Invalid HTTP request received."),
    ],
    ids=["no host", "two hosts", "two hosts of 1.0", "0.9", "tls"],
)
def test_what_is_no_http_is_a_problem(client: httpx.Client, request_: bytes, detail: str) -> None:
    with connect(client) as connection:
        connection.sendall(request_)
        assert detail in assert_problem(to_the_end(connection), 400, "malformed-request")


def test_what_is_no_handshake_is_a_problem(client: httpx.Client) -> None:
    with connect(client) as connection:
        connection.sendall(
            b"GET /stream/urban-sound?sample_rate=16000 HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n\r\n"
        )
        detail = assert_problem(to_the_end(connection), 400, "malformed-request")
    assert "Sec-WebSocket-Version: 13" in detail


def test_a_head_that_comes_in_one_read_is_bounded_too(client: httpx.Client) -> None:
    line = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    for headers in (b"a: " + b"b" * MAX_HEAD_BYTES + b"\r\n", b"a:\r\n" * 200):
        with connect(client) as connection:
            connection.sendall(line + headers + b"\r\n")
            assert_problem(to_the_end(connection), 431, "head-too-large")
    with connect(client) as connection:
        connection.sendall(line + b"a:\r\n" * 199 + b"\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_an_early_answer_is_read_whatever_is_still_sent(client: httpx.Client) -> None:
    """A connection that is closed while bytes arrive is reset, and the answer lost with it."""
    with connect(client) as connection:
        connection.sendall(
            b"POST /classify/urban-sound HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: audio/wav\r\nContent-Length: 100000000\r\n\r\n"
        )
        for _ in range(50):
            connection.sendall(bytes(100_000))
        assert_problem(to_the_end(connection), 413, "file-too-large")


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /",
        b"GET /healthz HTTP/1.1\r\nHost: ",
        b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 100,
    ],
    ids=["line", "value", "headers"],
)
def test_a_head_without_an_end_is_refused(client: httpx.Client, beginning: bytes) -> None:
    with connect(client) as connection:
        connection.sendall(beginning + b"a" * MAX_HEAD_BYTES)
        refusal = to_the_end(connection)
    assert_problem(refusal, 431, "head-too-large")


def test_trailers_without_an_end_are_refused(client: httpx.Client) -> None:
    with connect(client) as connection:
        connection.sendall(CHUNKED)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 405 ")
        connection.sendall(b"a: " + b"a" * MAX_HEAD_BYTES)
        refusal = to_the_end(connection)
    assert_problem(refusal, 431, "head-too-large")


def test_a_large_head_and_a_larger_body_are_read(client: httpx.Client) -> None:
    headers = {"Cookie": "a" * (MAX_HEAD_BYTES - 1000), "Content-Type": "audio/wav"}
    response = client.post("/classify/urban-sound", content=bytes(300_000), headers=headers)
    assert response.status_code == 415
    assert client.get("/healthz", headers=headers).status_code == 200
