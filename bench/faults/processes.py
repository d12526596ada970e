"""Faults of the server's processes: a worker is killed, the service is told to stop."""

import os
import signal
import time

from bench.faults.load import Rows, Size, run_clients
from bench.load import LoadStats
from bench.servers import open_files, start_ready, wait_until
from bench.tables import load_row


def kill(size: Size) -> Rows:
    """The busier of two workers is killed (SIGKILL) under load.

    Lost can only be what the killed process held. Clients that retry get all answers.
    """
    return [*_kill(size, "clients ask once"), *_kill(size, "clients retry", retry=True)]


def _kill(size: Size, case: str, *, retry: bool = False) -> Rows:
    with start_ready(workers=2) as server:
        wait_until(lambda: len(server.workers()) == 2)
        before = server.workers()

        def fault() -> None:
            os.kill(max(before, key=open_files), signal.SIGKILL)

        stats, later = LoadStats(), LoadStats()
        in_flight = run_clients(server, size, stats, retry=retry, fault=fault)
        wait_until(lambda: len(server.workers()) == 2 and server.workers() != before)
        run_clients(server, size, later)
    return [
        load_row(
            name, each, **{"in flight at the fault": number, "never answered": each.unanswered}
        )
        for name, each, number in ((f"killed; {case}", stats, in_flight), ("later", later, 0))
    ]


def stop(size: Size) -> Rows:
    """SIGTERM under load; clients go on for as long as the service says that it is ready."""
    return [_stop(size, drain, workers) for drain in (1.0, 0.0) for workers in (1, 2)]


def _stop(size: Size, drain: float, workers: int) -> dict[str, object]:
    stopped = unready = 0.0
    with start_ready(drain_seconds=drain, workers=workers) as server:
        wait_until(lambda: workers == 1 or len(server.workers()) == workers)

        def fault() -> None:
            nonlocal stopped
            server.process.send_signal(signal.SIGTERM)
            stopped = time.perf_counter()

        def is_unready() -> bool:
            nonlocal unready
            if stopped and not unready and not server.is_ready():
                unready = time.perf_counter()
            return unready > 0

        stats = LoadStats()
        in_flight = run_clients(server, size, stats, fault=fault, until=is_unready)
        code = server.process.wait(60)
        ended = time.perf_counter()
    return load_row(
        f"{drain:g} s to notice, {workers} worker{'s' * (workers > 1)}",
        stats,
        **{
            "in flight at the fault": in_flight,
            "not ready after s": f"{unready - stopped:.2f}",
            "ended after s": f"{ended - stopped:.2f}",
            "exit code": code,
        },
    )
