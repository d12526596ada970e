"""Many clients that cost little: requests made beforehand, over bare connections."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Address = tuple[str, int]
Outcome = int | Literal["refused", "lost"]
"""the status of the answer; or `refused`, where the connection was, or broke before the whole
request was sent; or `lost`, where all was sent and no answer came"""


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire."""

    kind: str
    content: bytes


def post(path: str, body: bytes, *, kind: str = "", media_type: str = "audio/wav") -> Request:
    """A recording to be sent to `path`, as the whole body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: earshot\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Request(kind, head.encode() + body)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    outcome: Outcome
    seconds: float = 0.0
    body: bytes = b""
    retry_after: float = 0.1
    """seconds"""

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class Tally:
    """What became of many requests."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """of each attempt"""
    seconds: defaultdict[Outcome, list[float]] = field(default_factory=lambda: defaultdict(list))
    """that each attempt took"""
    ends: list[Outcome] = field(default_factory=list)
    """of each request, by its last attempt"""
    under_way: int = 0
    """requests that were sent, or are being sent, and not answered yet"""
    kinds: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    """of the checkpoints that answered"""

    @property
    def sent(self) -> int:
        """Attempts."""
        return self.outcomes.total()

    @property
    def unanswered(self) -> int:
        """Requests whose last attempt was not answered with 200."""
        return sum(end != 200 for end in self.ends)

    def add(self, request: Request, answer: Answer) -> None:
        """Count an attempt."""
        self.outcomes[answer.outcome] += 1
        self.seconds[answer.outcome].append(answer.seconds)
        self.kinds[request.kind, answer.outcome] += 1
        if answer.outcome == 200 and answer.body.startswith(b"{"):
            self.versions[answer.json()["checkpoint"]["version"]] += 1

    def percentile(self, fraction: float, outcome: Outcome = 200) -> float:
        """Of the milliseconds of the attempts with this outcome."""
        times = sorted(self.seconds[outcome])
        return 1000 * times[min(len(times) - 1, int(fraction * len(times)))] if times else 0.0


class Connection:
    """A client's connection, kept for as long as the server keeps it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Request) -> Answer:
        """Send a request and wait for what becomes of it."""
        began = time.perf_counter()
        answer = await self._exchange(request.content)
        if not isinstance(answer.outcome, int):
            self.close()
        return replace(answer, seconds=time.perf_counter() - began)

    def close(self) -> None:
        """Break the connection off."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None

    async def _exchange(self, content: bytes) -> Answer:
        try:
            if self._streams is None or self._streams[0].at_eof():
                self._streams = await asyncio.open_connection(*self._address)
                # So that what is drained is with the kernel.
                self._streams[1].transport.set_write_buffer_limits(0)
        except OSError:
            return Answer("refused")
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
            return Answer("lost" if sent else "refused")

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(b" ", 2)[1])
        length = int(_header(head, b"content-length", b""))
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return Answer(status, body=body, retry_after=float(_header(head, b"retry-after", b"0.1")))


async def drive(
    address: Address,
    requests: Iterator[Request],
    tally: Tally,
    *,
    concurrency: int,
    retry: bool = False,
    until: Callable[[], bool] = lambda: False,
    on_answer: Callable[[Request, Answer], None] = lambda _request, _answer: None,
) -> None:
    """Send `requests` from so many clients, each waiting for its answer before the next.

    Args:
        address: of the server.
        requests: taken by whichever client is free.
        tally: counts what becomes of them.
        concurrency: number of clients.
        retry: ask again, after as long as the server says, until the answer is not 503.
        until: stops asking before the requests are all.
        on_answer: is told of each attempt.
    """

    async def client() -> None:
        connection = Connection(address)
        for request in requests:
            if until():
                break
            tally.under_way += 1
            while True:
                answer = await connection.ask(request)
                tally.add(request, answer)
                on_answer(request, answer)
                if not retry or answer.outcome not in ("refused", "lost", 503):
                    break
                await asyncio.sleep(answer.retry_after)
            tally.under_way -= 1
            tally.ends.append(answer.outcome)
        connection.close()

    async with asyncio.TaskGroup() as clients:
        for _ in range(concurrency):
            clients.create_task(client())


def _header(head: bytes, name: bytes, default: bytes) -> bytes:
    _, _, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() or default
