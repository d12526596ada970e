import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.rate_limit import RateLimit, RateLimitMiddleware, TokenBucket


def test_a_bucket_empties_and_fills_evenly() -> None:
    bucket = TokenBucket(per_minute=30, burst=3)
    assert [bucket.acquire("a", 100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.acquire("a", 100.0) == 2.0
    assert bucket.acquire("b", 100.0) == 0
    # What was refused took nothing: the wait gets shorter as time goes by.
    assert bucket.acquire("a", 101.5) == 0.5
    assert bucket.acquire("a", 102.0) == 0
    assert bucket.acquire("a", 102.0) == 2.0
    # It never holds more than it holds.
    assert [bucket.acquire("a", 1e6) for _ in range(4)] == [0, 0, 0, 2.0]


def test_only_so_many_clients_are_remembered() -> None:
    bucket = TokenBucket(per_minute=1, burst=1, clients=2)
    assert bucket.acquire("a", 0.0) == 0
    assert bucket.acquire("b", 0.0) == 0
    assert bucket.acquire("a", 1.0) == 59  # a was here later than b
    assert bucket.acquire("c", 1.0) == 0
    assert bucket.acquire("a", 1.0) == 59
    assert bucket.acquire("b", 1.0) == 0


def answered(limit: RateLimit, *hosts: str | None) -> list[bool]:
    """Ask once from each address, one after the other; returns who was answered."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    middleware = RateLimitMiddleware(app, limit)

    async def ask(host: str | None) -> int:
        statuses = []

        async def send(message: Message) -> None:
            statuses.append(message.get("status"))

        scope = {
            **{"type": "http", "path": "/models", "method": "GET", "headers": []},
            "client": None if host is None else (host, 1234),
            "state": {"request_id": "a"},
        }
        await middleware(scope, None, send)  # type: ignore[arg-type]
        return statuses[0]

    async def main() -> list[bool]:
        return [await ask(host) == 200 for host in hosts]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        # One machine has a whole /64 of IPv6; the next network is another's.
        (("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"), [True, False, True]),
        (("fe80::1%eth0", "fe80::2%eth1"), [True, False]),
        # IPv4 has one address a client, however it is written.
        (("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"), [True, True, False]),
        # What is no address makes nobody another client, and is not kept.
        (("junk", "x" * 60_000, None, "192.0.2.1"), [True, False, False, True]),
    ],
)
def test_a_client_is_an_address_or_a_network(
    hosts: tuple[str | None, ...], expected: list[bool]
) -> None:
    assert answered(RateLimit(per_minute=1, burst=1, concurrent=0), *hosts) == expected


class Application:
    """An application that notes what it was asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked: list[tuple[Scope, Receive, Send]] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append((scope, receive, send))
        await self.may_answer.wait()


async def nothing() -> Message:
    return {"type": "http.request"}


def make_scope(path: str = "/models", kind: str = "http", key: str | None = None) -> Scope:
    state = {"request_id": "a"} | ({} if key is None else {"client": key})
    scope = {"type": kind, "path": path, "method": "GET", "headers": [], "state": state}
    return scope | {"client": ("192.0.2.1", 1)}


def with_limit(
    limit: RateLimit,
    main: Callable[[Application, Callable[..., Awaitable[list[Message]]]], Awaitable[None]],
) -> None:
    """Run `main` with an application behind the limit, and a function that asks it."""

    async def run() -> None:
        application = Application()
        middleware = RateLimitMiddleware(application, limit)

        async def ask(**of_scope: Any) -> list[Message]:
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            scope = make_scope(**of_scope)
            await middleware(scope, nothing, send)
            assert sent or (scope, nothing, send) in application.asked
            return sent

        await main(application, ask)

    asyncio.run(asyncio.wait_for(run(), 60))


def refusal(messages: list[Message]) -> tuple[int, str | None, str]:
    """Return the status, `Retry-After` and the detail of a problem."""
    start, body = messages
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body["body"])
    assert problem["type"] == "/problems/too-many-requests"
    assert problem["request_id"] == "a"
    return start["status"], headers.get("retry-after"), problem["detail"]


def test_beyond_its_rate_a_client_is_told_when_to_ask_again() -> None:
    async def main(application: Application, ask: Any) -> None:
        application.may_answer.set()
        assert [await ask() for _ in range(2)] == [[], []]
        assert refusal(await ask()) == (
            *(429, "30"),
            "you make more requests than are allowed; try again in 30 s",
        )
        assert len(application.asked) == 2
        assert await ask(key="lab") == []  # a key is another client than the address
        assert await ask(key="lab") == []
        assert refusal(await ask(key="lab"))[0] == 429
        assert await ask(key="192.0.2.1") == []

    with_limit(RateLimit(per_minute=2, burst=2, concurrent=0), main)


def test_a_client_may_have_so_many_requests_at_the_same_time() -> None:
    async def main(application: Application, ask: Any) -> None:
        running = [asyncio.create_task(ask()) for _ in range(2)]
        await asyncio.sleep(0)
        assert len(application.asked) == 2
        for kind in ("http", "websocket"):
            messages = await ask(kind=kind)
            if kind == "http":
                assert refusal(messages) == (
                    *(429, "1"),
                    "2 requests of yours are being answered already; try again in 1 s",
                )
            assert len(application.asked) == 2
        other = asyncio.create_task(ask(key="lab"))
        await asyncio.sleep(0)
        assert len(application.asked) == 3
        application.may_answer.set()
        await asyncio.gather(*running, other)
        assert await ask() == []
        # One of them ends by an error, and leaves its place as well.
        application.may_answer.clear()
        broken = [asyncio.create_task(ask()) for _ in range(2)]
        await asyncio.sleep(0)
        for task in broken:
            task.cancel()
        await asyncio.gather(*broken, return_exceptions=True)
        application.may_answer.set()
        assert await ask() == []

    with_limit(RateLimit(per_minute=0, burst=1, concurrent=2), main)


def test_each_request_that_ends_leaves_one_place() -> None:
    async def main(application: Application, ask: Any) -> None:
        running = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        for left in (2, 1):
            running.pop().cancel()
            await asyncio.sleep(0)
            running.append(asyncio.create_task(ask()))  # one may come
            await asyncio.sleep(0)
            assert refusal(await ask())[0] == 429  # and no other
            assert len(application.asked) == 3 + 3 - left
        application.may_answer.set()
        await asyncio.gather(*running)

    with_limit(RateLimit(per_minute=0, burst=1, concurrent=3), main)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/web/main.js"])
def test_probes_and_the_page_are_not_counted(path: str) -> None:
    async def main(application: Application, ask: Any) -> None:
        application.may_answer.set()
        assert [await ask(path=path) for _ in range(3)] == [[], [], []]
        assert await ask() == []
        assert refusal(await ask())[0] == 429
        assert await ask(path=path) == []

    with_limit(RateLimit(per_minute=1, burst=1, concurrent=0), main)


def test_what_is_no_request_is_not_counted() -> None:
    async def main(application: Application, ask: Any) -> None:
        application.may_answer.set()
        assert [await ask(kind="lifespan") for _ in range(3)] == [[], [], []]
        assert await ask(kind="websocket") == []
        assert len(application.asked) == 4
        assert (await ask(kind="websocket")) != []

    with_limit(RateLimit(per_minute=1, burst=1, concurrent=0), main)


def test_many_clients_are_remembered() -> None:
    """After 9,999 others a client finds its bucket as it was; after 10,000, a full one."""
    bucket = TokenBucket(per_minute=1, burst=1)
    for number in range(10_000):
        assert bucket.acquire(str(number), 0.0) == 0
    assert bucket.acquire("0", 0.0) == 60
    assert bucket.acquire("another", 0.0) == 0
    assert bucket.acquire("1", 0.0) == 0  # forgotten: it was away for longest
