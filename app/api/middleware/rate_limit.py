"""Limits of one client: requests a minute, and requests at the same time."""

import math
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.middleware.api_key import METRICS_PATH, is_open
from app.api.problems import ProblemError, problem_response

_REMEMBERED_CLIENTS = 10_000


class TokenBucket:
    """A token bucket for each client: it holds `burst` requests and fills evenly."""

    def __init__(self, per_minute: float, burst: int, clients: int = _REMEMBERED_CLIENTS) -> None:
        """All buckets are full.

        Args:
            per_minute: requests that flow in.
            burst: requests that a full bucket holds.
            clients: how many are remembered. Beyond, the one that was away for longest is
                forgotten, and would find a full bucket.
        """
        self._per_second = per_minute / 60
        self._burst = burst
        self._clients = clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def acquire(self, client: str, now: float) -> float:
        """Take the token of a request from a client's bucket.

        Args:
            client: whose.
            now: seconds of a clock that never goes back.

        Returns:
            0, or, where the bucket is empty and nothing was taken, seconds until it is not.
        """
        level, since = self._buckets.pop(client, (float(self._burst), now))
        level = min(self._burst, level + (now - since) * self._per_second)
        missing = max(0.0, 1 - level)
        self._buckets[client] = (level if missing else level - 1, now)
        if len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        return missing / self._per_second


@dataclass(frozen=True)
class RateLimit:
    """The limits of each client; 0 is without limit."""

    per_minute: float
    burst: int
    concurrent: int


class RateLimitMiddleware:
    """Refuses (429) requests beyond the limits of a client.

    A client is the name of its key or, without keys, its address; of IPv6, where one machine has
    as many as it likes, the /64 network. All whose address is none are one. The page's files,
    probes and metrics are not counted.
    """

    def __init__(self, app: ASGIApp, limit: RateLimit) -> None:
        self._app = app
        self._concurrent = limit.concurrent
        self._bucket = TokenBucket(limit.per_minute, limit.burst) if limit.per_minute else None
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with a problem."""
        if scope["type"] not in ("http", "websocket") or _is_exempt(scope["path"]):
            await self._app(scope, receive, send)
            return
        client = _client_id(scope)
        try:
            self._require(client)
        except ProblemError as error:
            await problem_response(HTTPConnection(scope), error)(scope, receive, send)
            return
        self._running[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]

    def _require(self, client: str) -> None:
        """Raise ProblemError where a client is at its limit."""
        if self._concurrent and self._running[client] >= self._concurrent:
            raise _too_many(f"{self._concurrent} requests of yours are being answered already", 1)
        if self._bucket and (seconds := self._bucket.acquire(client, time.monotonic())):
            raise _too_many("you make more requests than are allowed", math.ceil(seconds))


def _is_exempt(path: str) -> bool:
    return is_open(path) or path == METRICS_PATH


def _client_id(scope: Scope) -> str:
    name = scope.get("state", {}).get("client")
    if name is not None:
        return f"key {name}"
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ip_address(host)
    except ValueError:  # a socket of Unix, or a proxy that passes on what it is sent
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"network {int(address) >> 64:x}"
        address = address.ipv4_mapped
    return f"host {address}"


def _too_many(detail: str, seconds: int) -> ProblemError:
    return ProblemError(
        "too-many-requests",
        f"{detail}; try again in {seconds} s",
        headers={"Retry-After": str(seconds)},
    )
