"""Load from many clients at little cost: requests made beforehand, over plain connections."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Address = tuple[str, int]
ResponseStatus = int | Literal["refused", "lost"]
"""the status of the answer; or `refused`, where the connection was, or broke before the whole
request was sent; or `lost`, where all was sent and no answer came"""


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire."""

    kind: str
    content: bytes


def post(path: str, body: bytes, *, kind: str = "", media_type: str = "audio/wav") -> Request:
    """Make the request that posts a recording to `path`, as the whole body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Request(kind, head.encode() + body)


@dataclass(frozen=True)
class Response:
    """The answer to one attempt, or its failure."""

    outcome: ResponseStatus
    seconds: float = 0.0
    body: bytes = b""
    retry_after: float = 0.1
    """seconds"""

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


@dataclass
class LoadStats:
    """Outcomes and latencies of many requests."""

    outcomes: Counter[ResponseStatus] = field(default_factory=Counter)
    """of each attempt"""
    latencies: defaultdict[ResponseStatus, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """seconds of each attempt"""
    final_outcomes: list[ResponseStatus] = field(default_factory=list)
    """of each request, by its last attempt"""
    in_flight: int = 0
    """requests that were sent, or are being sent, and not answered yet"""
    by_kind: Counter[tuple[str, ResponseStatus]] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    """of the checkpoints that answered"""

    @property
    def attempts(self) -> int:
        """Attempts so far, each request's all counted."""
        return self.outcomes.total()

    @property
    def unanswered(self) -> int:
        """Requests whose last attempt was not answered with 200."""
        return sum(outcome != 200 for outcome in self.final_outcomes)

    def add(self, request: Request, response: Response) -> None:
        """Count an attempt."""
        self.outcomes[response.outcome] += 1
        self.latencies[response.outcome].append(response.seconds)
        self.by_kind[request.kind, response.outcome] += 1
        if response.outcome == 200 and b'"checkpoint":' in response.body:
            self.versions[response.json()["checkpoint"]["version"]] += 1

    def percentile_ms(self, fraction: float, outcome: ResponseStatus = 200) -> float:
        """Return a percentile of the latencies of an outcome, ms; 0 where it never came."""
        times = sorted(self.latencies[outcome])
        return 1000 * times[min(len(times) - 1, int(fraction * len(times)))] if times else 0.0


class Connection:
    """A client's connection, kept for as long as the server keeps it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Response:
        """Send a request and wait for its answer or its failure."""
        began = time.perf_counter()
        response = await self._exchange(request.content)
        if not isinstance(response.outcome, int):
            self.close()
        return replace(response, seconds=time.perf_counter() - began)

    def close(self) -> None:
        """Break the connection off."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None

    async def _exchange(self, content: bytes) -> Response:
        try:
            if self._streams is None or self._streams[0].at_eof():
                self._streams = await asyncio.open_connection(*self._address)
                # So that what is drained is with the kernel.
                self._streams[1].transport.set_write_buffer_limits(0)
        except OSError:
            return Response("refused")
        reader, writer = self._streams
        sent = False
        try:
            writer.write(content)
            await writer.drain()
            sent = True
            return await self._read(reader)
        except (OSError, asyncio.IncompleteReadError):
            pass
        try:  # it may have been refused before it was sent to the end
            return await self._read(reader)
        except (OSError, asyncio.IncompleteReadError):
            return Response("lost" if sent else "refused")

    async def _read(self, reader: asyncio.StreamReader) -> Response:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(b" ", 2)[1])
        length = int(_header(head, b"content-length", b""))
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        retry_after = float(_header(head, b"retry-after", b"0.1"))
        return Response(status, body=body, retry_after=retry_after)


async def run_load(
    address: Address,
    requests: Iterator[Request],
    stats: LoadStats,
    *,
    concurrency: int,
    retry: bool = False,
    until: Callable[[], bool] = lambda: False,
    on_response: Callable[[Request, Response], None] = lambda _request, _response: None,
) -> None:
    """Send `requests` from so many clients, each waiting for its answer before the next.

    Args:
        address: of the server.
        requests: taken by whichever client is free.
        stats: counts the outcomes.
        concurrency: number of clients.
        retry: ask again, after as long as the server says, until the answer is not 503.
        until: stops before all requests are sent, once it returns True.
        on_response: is called after each attempt.
    """

    async def run_client() -> None:
        connection = Connection(address)
        for request in requests:
            if until():
                break
            stats.in_flight += 1
            while True:
                response = await connection.send(request)
                stats.add(request, response)
                on_response(request, response)
                if not retry or response.outcome not in ("refused", "lost", 503):
                    break
                await asyncio.sleep(response.retry_after)
            stats.in_flight -= 1
            stats.final_outcomes.append(response.outcome)
        connection.close()

    async with asyncio.TaskGroup() as clients:
        for _ in range(concurrency):
            clients.create_task(run_client())


def _header(head: bytes, name: bytes, default: bytes) -> bytes:
    _, _, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() or default
