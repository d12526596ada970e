"""Outcomes of a request are told apart: answered, refused or lost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bench.load import Address, LoadStats, Request, ResponseStatus, run_load
from bench.servers import free_port

REQUEST = Request("any", b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{"checkpoint": {"version": "new"}}'
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def scripted(
    answers: list[bytes], ask: Callable[[Address], Awaitable[None]], *, unread: bool = False
) -> None:
    """Have `ask` meet a server that gives these answers; it closes where one is empty."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            if not unread:
                await reader.readexactly(len(REQUEST.content))
            answer = answers.pop(0)
            writer.write(answer)
            if not answer:
                break
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await ask(server.sockets[0].getsockname())


def outcomes(answers: list[bytes], requests: int, *, retry: bool = False) -> LoadStats:
    stats = LoadStats()

    async def ask(address: Address) -> None:
        await run_load(address, iter([REQUEST] * requests), stats, concurrency=1, retry=retry)

    asyncio.run(scripted(answers, ask))
    return stats


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([OK, OK], [200, 200]), ([OK, b"", OK], [200, "lost", 200]), ([BUSY, OK], [503, 200])],
)
def test_each_attempt_is_counted(answers: list[bytes], expected: list[ResponseStatus]) -> None:
    stats = outcomes(list(answers), len(expected))
    assert stats.final_outcomes == expected
    assert stats.attempts == len(expected)
    assert stats.versions == {"new": expected.count(200)}
    assert stats.unanswered == len(expected) - expected.count(200)


def test_who_asks_again_is_answered() -> None:
    stats = outcomes([b"", BUSY, OK], 1, retry=True)
    assert stats.outcomes == {"lost": 1, 503: 1, 200: 1}
    assert (len(stats.final_outcomes), stats.unanswered, stats.in_flight) == (1, 0, 0)


def test_where_nobody_listens_nothing_is_lost() -> None:
    stats = LoadStats()
    address = ("127.0.0.1", free_port())
    asyncio.run(run_load(address, iter([REQUEST]), stats, concurrency=1))
    assert stats.outcomes == {"refused": 1}


def test_a_request_that_was_not_sent_whole_is_not_lost() -> None:
    stats = LoadStats()

    async def ask(address: Address) -> None:
        large = Request("any", REQUEST.content + bytes(50_000_000))
        await run_load(address, iter([large]), stats, concurrency=1)

    asyncio.run(scripted([b""], ask, unread=True))
    assert stats.outcomes == {"refused": 1}
