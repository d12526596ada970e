"""Faults, done to real servers under load; prints a table for each.

python -m bench.faults [--requests N] [--crowd N] [NAME ...]
"""

import argparse
import asyncio
import contextlib
import inspect
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from bench import recordings
from bench.clients import Address, Request, Tally, drive
from bench.servers import Server, open_files, serve, until
from bench.tables import counted, markdown

STORE = Path(__file__).parents[1] / "models_store"
CLIENTS = 8
Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Size:
    """How much is done."""

    requests: int
    """by ordinary clients, in each case"""
    crowd: int
    """of clients that misbehave, or are too many"""


def kill(size: Size) -> Rows:
    """The busier of two workers is killed (SIGKILL) under load.

    Lost can only be what the killed process held. Clients that ask again get all answers.
    """
    return [*_killed(size, "clients ask once"), *_killed(size, "clients ask again", retry=True)]


def _killed(size: Size, case: str, *, retry: bool = False) -> Rows:
    with serve(workers=2) as server:
        until(lambda: len(server.workers()) == 2)
        before = server.workers()

        def fault() -> None:
            os.kill(max(before, key=open_files), signal.SIGKILL)

        tally, later = Tally(), Tally()
        under_way = _load(server, size, tally, retry=retry, fault=fault)
        until(lambda: len(server.workers()) == 2 and server.workers() != before)
        _load(server, size, later)
    rows = ((f"killed; {case}", tally, under_way), ("later", later, 0))
    return [
        counted(
            case, each, **{"under way then": number, "without an answer at last": each.unanswered}
        )
        for case, each, number in rows
    ]


def disk(size: Size) -> Rows:
    """The folder for compiled networks is full or cannot be written, its files are damaged,
    the log cannot be written."""
    rows: Rows = []

    def answered(case: str, server: Server) -> None:
        tally = Tally()
        _load(server, size, tally)
        rows.append(counted(case, tally))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _full_disk(folder / "full") as full, serve(cache_dir=full) as server:
            answered("cache on a full disk", server)
        blocked = folder / "file"
        blocked.touch()
        with serve(cache_dir=blocked / "cache") as server:
            answered("cache cannot be made", server)
        cache = folder / "cache"
        with serve(cache_dir=cache) as server:
            pass
        for blob in cache.glob("*.blob"):
            os.truncate(blob, blob.stat().st_size // 2)
        with serve(cache_dir=cache) as server:
            answered("cached networks cut short", server)
        with (
            Path("/dev/full").open("wb") as nowhere,
            serve(stderr=nowhere, log_level="info") as server,
        ):
            answered("log on a full disk", server)
    return rows


def checkpoint(size: Size) -> Rows:
    """A checkpoint is damaged before the start, and others appear in the store under load."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "store"
        for task in ("urban-sound", "emotion"):
            shutil.copytree(STORE / task / "hann", store / task / "hann")
        model = store / "emotion" / "hann" / "model.onnx"
        os.truncate(model, model.stat().st_size // 2)
        with serve(models_dir=store) as server:
            for path in (recordings.URBAN, recordings.EMOTION):
                tally, clip = Tally(), recordings.clip()
                content = clip.content.replace(recordings.URBAN.encode(), path.encode(), 1)
                requests = repeat(Request("", content), size.requests // 4)
                asyncio.run(drive(server.address, requests, tally, concurrency=CLIENTS))
                ready = "ready" if server.is_ready() else "not ready"
                status = {one["task"]: one["status"] for one in server.get("/models")[1]["models"]}
                state = status[path.rpartition("/")[2]]
                rows.append(
                    counted(
                        f"emotion damaged; {path}", tally, says=f"{ready}; {state}", versions=""
                    )
                )
            shutil.copytree(
                STORE / "emotion" / "hann", store / "emotion" / "hann", dirs_exist_ok=True
            )
            card = store / "urban-sound" / "hann" / "card.json"
            old = card.read_text()
            another = old.replace(_urban(server)["version"], "another")
            for case, text, says in (
                ("damaged card, reload", old[: len(old) // 2], "refused"),
                ("good card of another version, reload", another, "taken over"),
            ):
                tally = Tally()

                def fault(text: str = text) -> None:
                    _replace(card, text)
                    server.process.send_signal(signal.SIGHUP)

                _load(server, size, tally, fault=fault)
                until(lambda says=says: _reloaded(server) == says)
                versions = ", ".join(f"{n} x {name}" for name, n in sorted(tally.versions.items()))
                rows.append(counted(case, tally, says=says, versions=versions))
    return rows


def drop(size: Size) -> Rows:
    """Clients go away in the middle of an upload, or before they are answered."""
    rows = []
    with serve() as server:
        tally = Tally()
        _load(server, size, tally)
        files = server.held().files
        rows.append(_held_row("ordinary clients alone", tally, server))
        content = recordings.clip().content
        for _ in range(3):
            for case, sent in (
                ("mid-upload", content[: len(content) // 2]),
                ("unanswered", content),
            ):
                tally = Tally()
                _load(server, size, tally, meanwhile=_vanish(server.address, sent, size.crowd))
                until(lambda: server.held().files <= files)
                rows.append(_held_row(f"{size.crowd} clients vanish {case}", tally, server))
    return rows


def slow(size: Size) -> Rows:
    """Crowds of clients send heads, or bodies, a byte a second (slow-loris)."""
    rows = []
    head = b"POST /classify/urban-sound HTTP/1.1\r\nX: " + b"a" * 1000
    body = recordings.clip().content[:1000]
    for case, content, start in (("heads", head, 60), ("bodies", body, 400)):
        with serve() as server:
            tally, ends = Tally(), Counter[str]()
            files, began = server.held().files, time.perf_counter()
            crowd = _dribble(server.address, content, start, size.crowd, ends)
            _load(server, size, tally, retry=True, meanwhile=crowd)
            seconds = time.perf_counter() - began
            until(lambda before=files: server.held().files <= before)
            rows.append(
                counted(
                    f"{size.crowd} slow {case}",
                    tally,
                    **{
                        "without an answer at last": tally.unanswered,
                        "p50, p99 ms": _percentiles(tally, 200),
                        "the slow got": ", ".join(f"{n} x {end}" for end, n in ends.items()),
                        "the last after s": f"{seconds:.0f}",
                    },
                )
            )
    return rows


def stop(size: Size) -> Rows:
    """SIGTERM under load; clients ask for as long as the service says that it is ready."""
    return [_stopped(size, drain, workers) for drain in (1.0, 0.0) for workers in (1, 2)]


def _stopped(size: Size, drain: float, workers: int) -> dict[str, object]:
    stopped = unready = 0.0
    with serve(drain_seconds=drain, workers=workers) as server:
        until(lambda: workers == 1 or len(server.workers()) == workers)

        def fault() -> None:
            nonlocal stopped
            server.process.send_signal(signal.SIGTERM)
            stopped = time.perf_counter()

        def is_unready() -> bool:
            nonlocal unready
            if stopped and not unready and not server.is_ready():
                unready = time.perf_counter()
            return unready > 0

        tally = Tally()
        under_way = _load(server, size, tally, fault=fault, until=is_unready)
        code = server.process.wait(60)
        ended = time.perf_counter()
    return counted(
        f"{drain:g} s to notice, {workers} worker{'s' * (workers > 1)}",
        tally,
        **{
            "under way then": under_way,
            "not ready after s": f"{unready - stopped:.2f}",
            "ended after s": f"{ended - stopped:.2f}",
            "exit code": code,
        },
    )


def overload(size: Size) -> Rows:
    """Far more clients than there are places."""
    rows = []
    with serve() as server:
        for clients in (CLIENTS, 32, size.crowd):
            tally = Tally()
            requests = repeat(recordings.clip(), max(size.requests, 4 * clients))
            asyncio.run(drive(server.address, requests, tally, concurrency=clients, retry=True))
            rows.append(
                counted(
                    f"{clients} clients",
                    tally,
                    **{
                        "without an answer at last": tally.unanswered,
                        "p50, p99 ms of answers": _percentiles(tally, 200),
                        "p50, p99 ms of refusals": _percentiles(tally, 503),
                    },
                )
            )
    return rows


FAULTS: dict[str, Callable[[Size], Rows]] = {
    fault.__name__: fault for fault in (kill, disk, checkpoint, drop, slow, stop, overload)
}


def main() -> None:
    """Do the faults that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(FAULTS)} (all)")
    parser.add_argument("--requests", type=int, default=1000, help="by ordinary clients")
    parser.add_argument("--crowd", type=int, default=400, help="clients that misbehave")
    options = parser.parse_args()
    size = Size(options.requests, options.crowd)
    if unknown := set(options.names) - set(FAULTS):
        parser.error(f"unknown: {', '.join(unknown)}")
    for name in options.names or FAULTS:
        print(f"### {name}\n\n{inspect.getdoc(FAULTS[name])}\n")
        print(markdown(FAULTS[name](size)), flush=True)
        print()


def _load(
    server: Server,
    size: Size,
    tally: Tally,
    *,
    fault: Callable[[], None] | None = None,
    retry: bool = False,
    until: Callable[[], bool] = lambda: False,
    meanwhile: Coroutine[None, None, None] | None = None,
) -> int:
    """Have ordinary clients ask; returns how many requests were under way at the fault.

    Args:
        server: is asked.
        size: of the load.
        tally: counts what becomes of it.
        fault: is done after a third of the requests.
        retry: see `drive`.
        until: see `drive`.
        meanwhile: what others do; it begins a second earlier, and is waited for.
    """
    under_way = 0

    def hurt() -> None:
        nonlocal under_way
        under_way = tally.under_way
        fault()

    def answered(_request: object, _answer: object) -> None:
        if fault is not None and tally.sent == size.requests // 3:
            # Not before the client that was just answered has asked again.
            asyncio.get_running_loop().call_later(0.001, hurt)

    async def both() -> None:
        other = None if meanwhile is None else asyncio.create_task(meanwhile)
        if other is not None:
            await asyncio.wait([other], timeout=1)
        await drive(
            server.address,
            repeat(recordings.clip(), size.requests),
            tally,
            concurrency=CLIENTS,
            retry=retry,
            until=until,
            on_answer=answered,
        )
        if other is not None:
            await other

    asyncio.run(both())
    return under_way


async def _vanish(address: Address, content: bytes, count: int) -> None:
    """Connect, send, and break the connection off without waiting; 50 clients at a time."""

    async def client() -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(*address)
            writer.transport.set_write_buffer_limits(0)
            writer.write(content)
            await writer.drain()
            writer.transport.abort()

    for begun in range(0, count, 50):
        await asyncio.gather(*(client() for _ in range(min(50, count - begun))))


async def _dribble(
    address: Address, content: bytes, start: int, count: int, ends: Counter[str]
) -> None:
    """Send the rest of `content` after `start` a byte a second, until the server has enough."""

    async def client() -> None:
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
        ends[end] += 1

    await asyncio.gather(*(client() for _ in range(count)))


def _held_row(case: str, tally: Tally, server: Server) -> dict[str, object]:
    held = server.held()
    return counted(
        case,
        tally,
        **{"RSS MB": f"{held.resident / 1e6:.0f}", "files": held.files, "threads": held.threads},
    )


def _percentiles(tally: Tally, outcome: int) -> str:
    return f"{tally.percentile(0.5, outcome):.0f}, {tally.percentile(0.99, outcome):.0f}"


def _urban(server: Server) -> dict[str, str]:
    models = server.get("/models")[1]["models"]
    found: dict[str, str] = next(one for one in models if one["task"] == "urban-sound")
    return found


def _reloaded(server: Server) -> str:
    found = _urban(server)
    if "error" in found:
        return "refused"
    return "taken over" if found["version"] == "another" else "not yet"


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@contextmanager
def _full_disk(folder: Path) -> Iterator[Path]:
    """A file system without a free byte, at `folder`. Needs root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


if __name__ == "__main__":
    main()
