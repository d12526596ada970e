"""The insides of uvicorn that app.server leans on: a new uvicorn without them fails here first."""

import asyncio
import inspect

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess

from app.api.admission import TransferTimeout
from app.server.connections import Connection
from app.server.limits import CONNECTION_LIMITS, ConnectionLimits
from app.server.websockets import WebSocketConnection
from app.server.workers import WorkerSupervisor


async def _answer_nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    pass


@pytest.mark.parametrize(
    ("ours", "uvicorns"),
    [(Connection, HttpToolsProtocol), (WebSocketConnection, WebSocketsSansIOProtocol)],
)
def test_what_a_connection_overrides_is_there(ours: type, uvicorns: type) -> None:
    overridden = {
        name
        for cls in ours.__mro__[: ours.__mro__.index(uvicorns)]
        for name in vars(cls)
        if not name.startswith("_")
    } - {"evict", "refuse", "reject", "linger", "end", "drop_waiting", "is_answering", "is_ending"}
    assert "data_received" in overridden
    for name in overridden:
        assert callable(getattr(uvicorns, name)), name


def test_what_a_connection_begins_an_answer_with_is_there() -> None:
    parameters = inspect.signature(HttpToolsProtocol._start_asgi_task).parameters
    assert list(parameters) == ["self", "cycle", "app"]
    assert "self.disconnected = False" in inspect.getsource(RequestResponseCycle)
    assert "self._start_asgi_task(" in inspect.getsource(HttpToolsProtocol.on_headers_complete)


def test_what_a_connection_reads_is_there() -> None:
    async def make() -> tuple[Connection, WebSocketConnection]:
        config = uvicorn.Config(_answer_nothing)
        config.load()
        state = {
            CONNECTION_LIMITS: ConnectionLimits(1, TransferTimeout(1.0, 1.0), lambda _type: None)
        }
        arguments = (config, ServerState(), state)
        return Connection(*arguments), WebSocketConnection(*arguments)

    http, socket = asyncio.run(make())
    assert (http.cycle, len(http.connections)) == (None, 0)
    assert isinstance(http._limits, ConnectionLimits)
    assert inspect.signature(http.send_400_response).parameters.keys() == {"msg"}
    assert (socket.read_paused, socket.writable.is_set(), socket.close_sent) == (False, True, False)
    assert not socket.handshake_complete
    assert (socket.close_timeout, socket.queue.qsize(), socket.transport) == (1.0, 0, None)
    for method in (socket.handle_parser_exception, socket.conn.fail):
        assert callable(method)


def test_what_the_supervisor_overrides_is_there() -> None:
    for name in ("handle_hup", "terminate_all"):
        assert name in vars(WorkerSupervisor)
        assert callable(getattr(Multiprocess, name))
    source = inspect.getsource(Multiprocess)
    for attribute in ("self.processes", "self.sockets", "self.should_exit", "wait_until_ready"):
        assert attribute in source


def test_what_the_server_overrides_is_there() -> None:
    assert "shutdown" in vars(uvicorn.Server)
    source = inspect.getsource(uvicorn.Server)
    arguments = "config=config,\n                server_state=self.server_state,"
    for text in (arguments, "app_state=self.lifespan.state", "for server in self.servers:"):
        assert text in source
