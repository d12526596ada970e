"""The load of ordinary clients, in the midst of which a fault is injected."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import repeat

from bench import recordings
from bench.load import LoadStats, run_load
from bench.servers import Server

CLIENTS = 8
Rows = list[dict[str, object]]
"""of the table of a fault"""


@dataclass(frozen=True)
class Size:
    """Size of the load in each case of a fault."""

    requests: int
    """by ordinary clients"""
    bad_clients: int
    """that misbehave, or are too many"""


def run_clients(
    server: Server,
    size: Size,
    stats: LoadStats,
    *,
    fault: Callable[[], None] | None = None,
    retry: bool = False,
    until: Callable[[], bool] = lambda: False,
    meanwhile: Coroutine[None, None, None] | None = None,
) -> int:
    """Have ordinary clients send requests; return how many were in flight at the fault.

    Args:
        server: gets the requests.
        size: of the load.
        stats: counts the outcomes.
        fault: is injected after a third of the requests.
        retry: see `run_load`.
        until: see `run_load`.
        meanwhile: work of others; it begins a second earlier, and is waited for.
    """
    in_flight = 0

    def inject(fault: Callable[[], None]) -> None:
        nonlocal in_flight
        in_flight = stats.in_flight
        fault()

    def on_response(_request: object, _response: object) -> None:
        if fault is not None and stats.attempts == size.requests // 3:
            # Not before the client that was just answered has sent its next request.
            asyncio.get_running_loop().call_later(0.001, inject, fault)

    async def run() -> None:
        others = None if meanwhile is None else asyncio.create_task(meanwhile)
        if others is not None:
            await asyncio.wait([others], timeout=1)
        await run_load(
            server.address,
            repeat(recordings.clip_request(), size.requests),
            stats,
            concurrency=CLIENTS,
            retry=retry,
            until=until,
            on_response=on_response,
        )
        if others is not None:
            await others

    asyncio.run(run())
    return in_flight
