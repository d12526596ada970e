"""The server, which takes no connection that it does not answer."""

import asyncio
import os
import socket

import uvicorn


class Server(uvicorn.Server):
    """uvicorn's server; when it stops, it first accepts those whom the kernel has let in.

    A listener that is closed has the kernel reset the connections that nobody accepted yet,
    whose clients may have sent their requests already.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and wait for the requests that are left."""
        waiting: list[socket.socket] = []
        for server in self.servers:
            listeners = [socket.socket(fileno=os.dup(each.fileno())) for each in server.sockets]
            server.close()
            for listener in listeners:
                waiting += _accept_all(listener)
                listener.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._make_protocol, connection)
        await super().shutdown(sockets)

    def _make_protocol(self) -> asyncio.Protocol:
        make = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    listener.setblocking(False)
    accepted: list[socket.socket] = []
    while True:
        try:
            accepted.append(listener.accept()[0])
        except OSError:  # there are no more
            return accepted
