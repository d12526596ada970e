"""What becomes of a request is told apart: answered, refused or lost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bench.clients import Address, Outcome, Request, Tally, drive
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


def outcomes(answers: list[bytes], requests: int, *, retry: bool = False) -> Tally:
    tally = Tally()

    async def ask(address: Address) -> None:
        await drive(address, iter([REQUEST] * requests), tally, concurrency=1, retry=retry)

    asyncio.run(scripted(answers, ask))
    return tally


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([OK, OK], [200, 200]), ([OK, b"", OK], [200, "lost", 200]), ([BUSY, OK], [503, 200])],
)
def test_each_attempt_is_counted(answers: list[bytes], expected: list[Outcome]) -> None:
    tally = outcomes(list(answers), len(expected))
    assert tally.ends == expected
    assert tally.sent == len(expected)
    assert tally.versions == {"new": expected.count(200)}
    assert tally.unanswered == len(expected) - expected.count(200)


def test_who_asks_again_is_answered() -> None:
    tally = outcomes([b"", BUSY, OK], 1, retry=True)
    assert tally.outcomes == {"lost": 1, 503: 1, 200: 1}
    assert (len(tally.ends), tally.unanswered, tally.under_way) == (1, 0, 0)


def test_where_nobody_listens_nothing_is_lost() -> None:
    tally = Tally()
    address = ("127.0.0.1", free_port())
    asyncio.run(drive(address, iter([REQUEST]), tally, concurrency=1))
    assert tally.outcomes == {"refused": 1}


def test_a_request_that_was_not_sent_whole_is_not_lost() -> None:
    tally = Tally()

    async def ask(address: Address) -> None:
        large = Request("any", REQUEST.content + bytes(50_000_000))
        await drive(address, iter([large]), tally, concurrency=1)

    asyncio.run(scripted([b""], ask, unread=True))
    assert tally.outcomes == {"refused": 1}
