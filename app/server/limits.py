"""The connections of a process, and which of them give way when there are too many."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from typing import Protocol

from app.api.admission import TransferTimeout
from app.server.turns import StartQueue

CONNECTION_LIMITS = "connection_limits"
"""the name of the `ConnectionLimits` in the state that the application's lifespan yields"""
# Of all connections, the part that may be waited for to read their answers; beyond it they have
# this part of the time.
_UNREAD, _SHORT = 1 / 8, 0.05


class Evictable(Protocol):
    """A connection that can be closed to make room."""

    def evict(self) -> bool:
        """Give way to another connection; return whether it could."""


Connections = dict[Evictable, None]
"""a set, in the order in which they came to be in it"""


@dataclass
class ConnectionLimits:
    """All connections of a process, and their limits."""

    max_connections: int
    client_timeout: TransferTimeout
    """longest wait for a client"""
    on_problem: Callable[[str], None]
    """is called with the type of each problem that is answered without the application"""
    closing: Connections = field(default_factory=dict)
    """those that were answered for the last time, and wait for their client to close"""
    idle: Connections = field(default_factory=dict)
    """those without a request that is being answered"""
    unread: dict[Evictable, float] = field(default_factory=dict)
    """those whose client does not read the answer, with the time since when"""
    starts: StartQueue = field(default_factory=StartQueue)
    """the requests that wait to be begun"""

    @property
    def timeout_seconds(self) -> float:
        """The longest wait for a client that sends, or reads, nothing."""
        return self.client_timeout.seconds

    def make_room(self) -> bool:
        """Close the connection that can be spared most; return False where there is none."""
        lists: tuple[Mapping[Evictable, object], ...] = (self.closing, self.idle, self.unread)
        for connection in chain(*lists):
            if connection.evict():
                self.forget(connection)
                return True
        return False

    def wait_for_reader(self, connection: Evictable) -> float:
        """Count a connection whose client does not read; return for how long it may read nothing.

        Where there are too many of them, it is a short time; and the one that has not been read
        for longest is closed, if it had that time.
        """
        now, short = time.monotonic(), _SHORT * self.timeout_seconds
        self.unread[connection] = now
        if len(self.unread) <= max(1, _UNREAD * self.max_connections):
            return inf
        longest, since = next(iter(self.unread.items()))
        if now - since > short:
            self.forget(longest)
            longest.evict()
        return short

    def forget(self, connection: Evictable) -> None:
        """Take a connection that ends, or is not in any of these states, out of the lists."""
        for connections in (self.closing, self.idle, self.unread):
            connections.pop(connection, None)
