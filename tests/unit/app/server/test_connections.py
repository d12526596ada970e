"""Connections: requests that are sent ahead, and those that give way to others."""

import asyncio
import socket

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.api.admission import TransferTimeout
from app.server.connections import Connection
from app.server.limits import CONNECTION_LIMITS, ConnectionLimits

# The body is what a head may end with.
REQUESTS = (
    b"GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n"
    b"POST /second HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
    b"GET /third HTTP/1.1\r\nHost: localhost\r\n\r\n"
    b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
)


async def _answer_path(scope: Scope, _receive: Receive, send: Send) -> None:
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _connect(limits: ConnectionLimits) -> tuple[Connection, socket.socket]:
    """A connection of the server, and the client's end of it."""
    config = uvicorn.Config(_answer_path, log_level="critical", server_header=False)
    config.load()
    connection = Connection(config, ServerState(), {CONNECTION_LIMITS: limits})
    ours, clients = socket.socketpair()
    clients.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: connection, sock=ours)
    return connection, clients


async def _read(client: socket.socket) -> bytes:
    """All that is sent until the connection ends."""
    reader, writer = await asyncio.open_connection(sock=client)
    received = await reader.read()
    writer.close()
    return received


async def _answers(pieces: list[bytes]) -> list[bytes]:
    """The bodies of all that is answered to what comes in these pieces."""
    connection, client = await _connect(_limits())
    for piece in pieces:
        connection.data_received(piece)
    received = await _read(client)
    return [each.partition(b"\r\n\r\n")[2] for each in received.split(b"HTTP/1.1 200 OK")[1:]]


def _limits() -> ConnectionLimits:
    return ConnectionLimits(1, TransferTimeout(60.0, 60.0), lambda _type: None)


def test_each_is_answered_in_turn_wherever_they_are_cut() -> None:
    in_turn = [b"/first", b"/second", b"/third", b"/last"]
    for cut in range(len(REQUESTS)):
        assert asyncio.run(_answers([REQUESTS[:cut], REQUESTS[cut:]])) == in_turn, cut
    assert asyncio.run(_answers([bytes([byte]) for byte in REQUESTS])) == in_turn


def test_an_idle_connection_gives_way_unless_a_request_is_on_its_way() -> None:
    async def main() -> None:
        limits = _limits()
        _, asking = await _connect(limits)
        _, silent = await _connect(limits)
        asking.send(REQUESTS)  # is in the kernel until the loop turns
        assert limits.make_room()
        assert not limits.make_room()
        assert await _read(silent) == b""
        assert (await _read(asking)).endswith(b"/last")

    asyncio.run(main())


def test_an_idle_connection_is_not_closed_where_a_request_is_on_its_way() -> None:
    async def main() -> None:
        connection, client = await _connect(_limits())
        client.send(REQUESTS)  # is in the kernel until the loop turns
        connection.timeout_keep_alive_handler()
        connection._on_idle_timeout()
        assert (await _read(client)).endswith(b"/last")
        for expire in (Connection.timeout_keep_alive_handler, Connection._on_idle_timeout):
            connection, client = await _connect(_limits())
            expire(connection)
            assert await _read(client) == b""

    asyncio.run(main())
