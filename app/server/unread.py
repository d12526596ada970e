"""The wait for a client that does not read what it is sent."""

import asyncio
import socket

from app.api.admission import TransferTimer
from app.server.limits import ConnectionLimits, Evictable

# Bytes that the kernel takes beyond those that are on their way to the client. Of its own it would
# take megabytes for each connection, before it is noticed that nobody reads.
_UNSENT_BYTES = 64 * 1024


def bound_send_buffer(transport: asyncio.Transport) -> None:
    """Have the kernel hold little that it cannot send yet; that bounds no rate."""
    connection = transport.get_extra_info("socket")
    if connection.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)


class UnreadTimer:
    """Aborts a connection whose client reads too slowly, or does not let it end.

    Only what has left the process counts as read: what the kernel holds is bounded by itself.
    """

    def __init__(
        self, connection: Evictable, transport: asyncio.Transport, limits: ConnectionLimits
    ) -> None:
        """Wait for nothing yet."""
        self._connection = connection
        self._transport = transport
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._left = TransferTimer(limits.client_timeout)
        self._handle: asyncio.TimerHandle | None = None
        self._at_most = 0.0
        self._since = 0.0
        self._unread_bytes = 0

    def start(self, at_most: float = float("inf")) -> None:
        """Wait from now on, never longer than `at_most` seconds without anything being read."""
        if self._handle is None:
            self._since = self._loop.time()
            self._unread_bytes = self._transport.get_write_buffer_size()
            self._at_most = min(at_most, self._limits.wait_for_reader(self._connection))
            self._schedule()

    def stop(self) -> None:
        """Wait no longer: it was read, or the connection has ended."""
        self._limits.unread.pop(self._connection, None)
        if self._handle is not None:
            self._count_read()
            self._handle.cancel()
            self._handle = None

    def _schedule(self) -> None:
        seconds = min(self._left.seconds, self._at_most)
        self._handle = self._loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self._count_read() and self._left.seconds > 0:
            self._schedule()
        else:
            self._transport.abort()

    def _count_read(self) -> int:
        """Count the time and the bytes since this was last done; return these."""
        now, unread = self._loop.time(), self._transport.get_write_buffer_size()
        read = max(0, self._unread_bytes - unread)
        self._left.spend(now - self._since)
        self._left.earn(read)
        self._since, self._unread_bytes = now, unread
        return read
