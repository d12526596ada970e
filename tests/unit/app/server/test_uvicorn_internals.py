"""The insides of uvicorn that app.server leans on: a new uvicorn without them fails here first."""

import asyncio
import inspect

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess

from app.server.connections import CONNECTION_LIMITS, Connection, ConnectionLimits
from app.server.workers import WorkerSupervisor


async def _answer_nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    pass


def test_what_a_connection_overrides_is_there() -> None:
    overridden = [
        name
        for cls in Connection.__mro__[: Connection.__mro__.index(HttpToolsProtocol)]
        for name in vars(cls)
        if not name.startswith("_")
    ]
    assert "data_received" in overridden
    for name in overridden:
        assert callable(getattr(HttpToolsProtocol, name)), name
    assert callable(HttpToolsProtocol.send_400_response)


def test_what_a_connection_reads_is_there() -> None:
    async def make() -> Connection:
        config = uvicorn.Config(_answer_nothing)
        config.load()
        limits = ConnectionLimits(1, 1.0, lambda _type: None)
        return Connection(config, ServerState(), {CONNECTION_LIMITS: limits})

    connection = asyncio.run(make())
    assert (connection.cycle, len(connection.pipeline), len(connection.connections)) == (None, 0, 0)
    assert isinstance(connection._limits, ConnectionLimits)
    assert inspect.signature(connection.send_400_response).parameters.keys() == {"msg"}


def test_what_the_supervisor_overrides_is_there() -> None:
    for name in ("handle_hup", "terminate_all"):
        assert name in vars(WorkerSupervisor)
        assert callable(getattr(Multiprocess, name))
    source = inspect.getsource(Multiprocess)
    for attribute in ("self.processes", "self.sockets", "self.should_exit", "wait_until_ready"):
        assert attribute in source
