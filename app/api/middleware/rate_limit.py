"""How much one client may ask: so many requests a minute, and so many at the same time."""

import math
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.middleware.api_key import METRICS, is_open
from app.api.problems import ProblemError, answer

_REMEMBERED_CLIENTS = 10_000


class Rate:
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

    def wait(self, client: str, now: float) -> float:
        """Take a request from a client's bucket.

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
class Allowance:
    """What each client may ask; 0 is without limit."""

    per_minute: float
    burst: int
    at_once: int


class Limits:
    """Middleware: refuses (429) what is more than a client may ask.

    A client is the name of its key or, without keys, its address; of IPv6, where one machine has
    as many as it likes, the network. The page's files, probes and metrics are not counted.
    """

    def __init__(self, app: ASGIApp, allowance: Allowance) -> None:
        self._app = app
        self._at_once = allowance.at_once
        self._rate = Rate(allowance.per_minute, allowance.burst) if allowance.per_minute else None
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket") or _is_free(scope["path"]):
            await self._app(scope, receive, send)
            return
        client = _client(scope)
        try:
            self._require(client)
        except ProblemError as refusal:
            await answer(HTTPConnection(scope), refusal)(scope, receive, send)
            return
        self._running[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]

    def _require(self, client: str) -> None:
        """Raise ProblemError where a client asks too much."""
        if self._at_once and self._running[client] >= self._at_once:
            raise _too_many(f"{self._at_once} requests of yours are being answered already", 1)
        if self._rate and (seconds := self._rate.wait(client, time.monotonic())):
            raise _too_many("you ask more often than is allowed", math.ceil(seconds))


def _is_free(path: str) -> bool:
    return is_open(path) or path == METRICS


def _client(scope: Scope) -> str:
    name = scope.get("state", {}).get("client")
    if name is not None:
        return f"key {name}"
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return f"host {host}"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"network {int(address) >> 64:x}"
    return f"host {host}"


def _too_many(detail: str, seconds: int) -> ProblemError:
    return ProblemError(
        "too-many-requests",
        f"{detail}; try again in {seconds} s",
        headers={"Retry-After": str(seconds)},
    )
