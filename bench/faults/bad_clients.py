"""Faults of clients: they go away, they dawdle, or there are far too many of them."""

import asyncio
import contextlib
import time
from collections import Counter
from itertools import repeat

from bench import recordings
from bench.faults.load import CLIENTS, Rows, Size, run_clients
from bench.load import Address, LoadStats, run_load
from bench.servers import Server, start_ready, wait_until
from bench.tables import load_row, percentiles


def drop(size: Size) -> Rows:
    """Clients go away in the middle of an upload, or before they are answered."""
    rows = []
    with start_ready() as server:
        stats = LoadStats()
        run_clients(server, size, stats)
        files = server.resource_usage().files
        rows.append(_usage_row("ordinary clients alone", stats, server))
        content = recordings.clip_request().content
        for _ in range(3):
            for case, sent in (
                ("mid-upload", content[: len(content) // 2]),
                ("unanswered", content),
            ):
                stats = LoadStats()
                vanishing = _vanish(server.address, sent, size.bad_clients)
                run_clients(server, size, stats, meanwhile=vanishing)
                _wait_for_files(server, files)
                rows.append(_usage_row(f"{size.bad_clients} clients vanish {case}", stats, server))
    return rows


def slow(size: Size) -> Rows:
    """Hundreds of clients send heads, or bodies, a byte a second (slow-loris)."""
    rows = []
    head = b"POST /classify/urban-sound HTTP/1.1\r\nX: " + b"a" * 1000
    body = recordings.clip_request().content[:1000]
    for case, content, start in (("heads", head, 60), ("bodies", body, 400)):
        with start_ready() as server:
            stats, answers = LoadStats(), Counter[str]()
            files, began = server.resource_usage().files, time.perf_counter()
            dribbling = _dribble(server.address, content, start, size.bad_clients, answers)
            run_clients(server, size, stats, retry=True, meanwhile=dribbling)
            seconds = time.perf_counter() - began
            _wait_for_files(server, files)
            rows.append(
                load_row(
                    f"{size.bad_clients} slow {case}",
                    stats,
                    **{
                        "never answered": stats.unanswered,
                        "p50, p99 ms": percentiles(stats, 200),
                        "slow clients got": ", ".join(f"{n} x {end}" for end, n in answers.items()),
                        "the last after s": f"{seconds:.0f}",
                    },
                )
            )
    return rows


def overload(size: Size) -> Rows:
    """Far more clients than the service answers at a time."""
    rows = []
    with start_ready() as server:
        for clients in (CLIENTS, 32, size.bad_clients):
            stats = LoadStats()
            requests = repeat(recordings.clip_request(), max(size.requests, 4 * clients))
            asyncio.run(run_load(server.address, requests, stats, concurrency=clients, retry=True))
            rows.append(
                load_row(
                    f"{clients} clients",
                    stats,
                    **{
                        "never answered": stats.unanswered,
                        "p50, p99 ms of answers": percentiles(stats, 200),
                        "p50, p99 ms of refusals": percentiles(stats, 503),
                    },
                )
            )
    return rows


async def _vanish(address: Address, content: bytes, count: int) -> None:
    """Connect, send, and break the connection off without waiting; 50 clients at a time."""

    async def run_client() -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(*address)
            writer.transport.set_write_buffer_limits(0)
            writer.write(content)
            await writer.drain()
            writer.transport.abort()

    for begun in range(0, count, 50):
        await asyncio.gather(*(run_client() for _ in range(min(50, count - begun))))


async def _dribble(
    address: Address, content: bytes, start: int, count: int, answers: Counter[str]
) -> None:
    """Send the rest of `content` after `start` a byte a second, until the server ends it."""

    async def run_client() -> None:
        end = "closed"
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*address)
            answer = asyncio.create_task(reader.read(100))
            for byte in range(start, len(content)):
                writer.write(content[:start] if byte == start else content[byte : byte + 1])
                if (await asyncio.wait([answer], timeout=1))[0]:
                    break
            if words := (await answer).split():
                end = words[1].decode()
            writer.transport.abort()
        answers[end] += 1

    await asyncio.gather(*(run_client() for _ in range(count)))


def _wait_for_files(server: Server, most: int) -> None:
    """Wait until the server has so few files open."""
    wait_until(lambda: server.resource_usage().files <= most)


def _usage_row(case: str, stats: LoadStats, server: Server) -> dict[str, object]:
    usage = server.resource_usage()
    return load_row(
        case,
        stats,
        **{
            "RSS MB": f"{usage.resident_bytes / 1e6:.0f}",
            "files": usage.files,
            "threads": usage.threads,
        },
    )
