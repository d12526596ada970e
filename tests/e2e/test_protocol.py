"""Requests that are too large before their body, on a bare connection."""

import socket

import httpx
import pytest

from app.server.connections import MAX_HEAD_BYTES

CHUNKED = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=30)


def to_the_end(connection: socket.socket) -> bytes:
    """All that the server sends before it closes the connection."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


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
    assert refusal.startswith(b"HTTP/1.1 400 ")
    assert refusal.endswith(b"\r\n\r\nThe request's headers are too large.")


def test_trailers_without_an_end_are_refused(client: httpx.Client) -> None:
    with connect(client) as connection:
        connection.sendall(CHUNKED)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 405 ")
        connection.sendall(b"a: " + b"a" * MAX_HEAD_BYTES)
        refusal = to_the_end(connection)
    assert refusal.endswith(b"\r\n\r\nThe request's headers are too large.")


def test_a_large_head_and_a_larger_body_are_read(client: httpx.Client) -> None:
    headers = {"Cookie": "a" * (MAX_HEAD_BYTES - 1000), "Content-Type": "audio/wav"}
    response = client.post("/classify/urban-sound", content=bytes(300_000), headers=headers)
    assert response.status_code == 415
    assert client.get("/healthz", headers=headers).status_code == 200
