"""What a server and its honest clients go through while it is attacked."""

import asyncio
import contextlib
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import TimeoutExpired

from bench import recordings
from bench.hostile.attack import Attack, Run, Target
from bench.load import Connection, LoadStats, Request, Response, run_load
from bench.servers import Server, start, wait_until

STOP_SECONDS = 31.0
"""after SIGTERM, until the process has ended: `EARSHOT_SHUTDOWN_TIMEOUT_SECONDS`, and a second"""
_AFTER_SECONDS = 10.0
_PROBE_EVERY, _CLASSIFY_EVERY, _MEASURE_EVERY = 0.05, 0.2, 0.1
_HEALTH = Request("", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
_LONGEST_SECONDS = 60.0
_CLIENTS = 4


@dataclass
class Observation:
    """What was seen of a server before, while and after it was attacked; bytes and seconds."""

    resident_before: int = 0
    resident_peak: int = 0
    resident_after: int = 0
    threads: int = 0
    """the most at a time"""
    probes: LoadStats = field(default_factory=LoadStats)
    """`GET /healthz`, on a new connection each time"""
    clips: LoadStats = field(default_factory=LoadStats)
    """a clip to classify, on a new connection each time"""
    stop_seconds: float = 0.0
    """from SIGTERM, in the midst of the attack, to the end of the process"""
    exit_code: int | None = None
    """None: it did not end"""
    lost: int = 0
    """requests of honest clients that were sent as a whole and not answered, at SIGTERM"""

    @property
    def slowest_clip(self) -> float:
        """The longest that a client waited for the labels of its clip."""
        return max(self.clips.latencies[200], default=0.0)

    @property
    def slowest_refusal(self) -> float:
        """The longest that a client waited for a 503."""
        return max(self.clips.latencies[503], default=0.0)

    def broken_limits(self) -> list[str]:
        """Return what is worse than it may be."""
        limits = {
            "RSS": self.resident_peak <= 1_500_000_000,
            "RSS later": self.resident_after <= 400_000_000,
            "probes": self.probes.percentile_ms(0.99) <= 250 and set(self.probes.outcomes) == {200},
            "clips": self.slowest_clip <= 2 and self.slowest_refusal <= 1,
            "only clips and 503": set(self.clips.outcomes) <= {200, 503},
            "some clips": self.clips.outcomes[200] > 0,
            "SIGTERM": self.exit_code == 0 and self.stop_seconds <= STOP_SECONDS,
            "resets": self.lost == 0,
        }
        return [name for name, holds in limits.items() if not holds]

    def row(self, name: str) -> dict[str, object]:
        """Return a row of the table."""
        clips = self.clips
        others = {
            outcome: count for outcome, count in clips.outcomes.items() if outcome not in (200, 503)
        }
        return {
            "attack": name,
            "RSS MB before, most, later": ", ".join(
                f"{each / 1e6:.0f}"
                for each in (self.resident_before, self.resident_peak, self.resident_after)
            ),
            "threads": self.threads,
            "probes p50, p99, max ms": ", ".join(
                f"{self.probes.percentile_ms(each):.0f}" for each in (0.5, 0.99, 1.0)
            ),
            "clips answered, max s": f"{clips.outcomes[200]}, {self.slowest_clip:.2f}",
            "refused 503, max s": f"{clips.outcomes[503]}, {self.slowest_refusal:.2f}",
            "other": ", ".join(f"{n} x {outcome}" for outcome, n in others.items()) or 0,
            "SIGTERM: s, code, lost": f"{self.stop_seconds:.1f}, {self.exit_code}, {self.lost}",
            "beyond limits": ", ".join(self.broken_limits()) or "none",
        }


def observe(attack: Attack, seconds: float) -> Observation:
    """Attack a server of its own for so many seconds, and once more to stop it meanwhile."""
    found = Observation()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"log_level": "error", **attack.prepare(Path(folder))}
        with start(settings=settings) as server:
            wait_until(server.is_ready)
            target = Target(server.address, seconds)
            asyncio.run(_observe(server, attack, target, found))
            asyncio.run(_observe_stop(server, attack, target, found))
    return found


async def _observe(server: Server, attack: Attack, target: Target, found: Observation) -> None:
    clip = recordings.clip_request()
    await run_load(server.address, repeat(clip, 20), LoadStats(), concurrency=2)
    found.resident_before = server.resource_usage().resident_bytes
    observers = [
        asyncio.create_task(_ask(server, _HEALTH, found.probes, _PROBE_EVERY)),
        asyncio.create_task(_ask(server, clip, found.clips, _CLASSIFY_EVERY)),
        asyncio.create_task(_measure(server, found)),
    ]
    with _attacking(attack.run, target) as attacker:
        await asyncio.to_thread(attacker.join, target.seconds + _LONGEST_SECONDS)
    await asyncio.sleep(_AFTER_SECONDS)
    found.resident_after = server.resource_usage().resident_bytes
    for observer in observers:
        observer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await observer


async def _ask(server: Server, request: Request, stats: LoadStats, every: float) -> None:
    while True:
        connection, response = Connection(server.address), Response("lost", _LONGEST_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_SECONDS):
                response = await connection.send(request)
        connection.close()
        stats.add(request, response)
        await asyncio.sleep(every)


async def _measure(server: Server, found: Observation) -> None:
    while True:
        usage = await asyncio.to_thread(server.resource_usage)
        found.resident_peak = max(found.resident_peak, usage.resident_bytes)
        found.threads = max(found.threads, usage.threads)
        await asyncio.sleep(_MEASURE_EVERY)


async def _observe_stop(server: Server, attack: Attack, target: Target, found: Observation) -> None:
    """Stop the server in the midst of the attack, while honest clients ask it."""
    stats = LoadStats()
    stopped = 0.0
    load = asyncio.create_task(
        run_load(
            server.address,
            repeat(recordings.clip_request()),
            stats,
            concurrency=_CLIENTS,
            until=lambda: stopped > 0 and server.process.poll() is not None,
        )
    )
    with _attacking(attack.run, target):
        await asyncio.sleep(min(3.0, target.seconds / 2))
        server.process.send_signal(signal.SIGTERM)
        stopped = time.perf_counter()
        with contextlib.suppress(TimeoutExpired):
            found.exit_code = await asyncio.to_thread(server.process.wait, STOP_SECONDS + 10)
        found.stop_seconds = time.perf_counter() - stopped
        if found.exit_code is None:
            server.process.kill()
    await load
    found.lost = stats.outcomes["lost"]


@contextmanager
def _attacking(run: Run, target: Target) -> Iterator[BaseProcess]:
    """Attack from another process, so that it takes no time from what is measured here."""
    process = multiprocessing.get_context("spawn").Process(target=_attack, args=(run, target))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _attack(run: Run, target: Target) -> None:
    with contextlib.suppress(OSError, KeyboardInterrupt):
        asyncio.run(run(target))
