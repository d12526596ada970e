"""Faults of the disk and of the store of checkpoints."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

from bench import recordings
from bench.faults.load import CLIENTS, Rows, Size, run_clients
from bench.load import LoadStats, post, run_load
from bench.model_only import STORE
from bench.servers import URBAN_SOUND, Server, start_ready, wait_until
from bench.tables import load_row


def disk(size: Size) -> Rows:
    """The folder for compiled networks is full or cannot be written, its files are damaged,
    the log cannot be written."""
    rows: Rows = []

    def run(case: str, server: Server) -> None:
        stats = LoadStats()
        run_clients(server, size, stats)
        rows.append(load_row(case, stats))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _full_disk(folder / "full") as full, start_ready(cache_dir=full) as server:
            run("cache on a full disk", server)
        blocked = folder / "file"
        blocked.touch()
        with start_ready(cache_dir=blocked / "cache") as server:
            run("cache cannot be made", server)
        cache = folder / "cache"
        with start_ready(cache_dir=cache):
            pass
        for blob in cache.glob("*.blob"):
            os.truncate(blob, blob.stat().st_size // 2)
        with start_ready(cache_dir=cache) as server:
            run("cached networks cut short", server)
        with (
            Path("/dev/full").open("wb") as full_device,
            start_ready(stderr=full_device, log_level="info") as server,
        ):
            run("log on a full disk", server)
    return rows


def checkpoint(size: Size) -> Rows:
    """A checkpoint is damaged before the start, and others appear in the store under load."""
    rows: Rows = []
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "store"
        for task in ("urban-sound", "emotion"):
            shutil.copytree(STORE / task / "hann", store / task / "hann")
        model = store / "emotion" / "hann" / "model.onnx"
        os.truncate(model, model.stat().st_size // 2)
        with start_ready(models_dir=store) as server:
            rows += [
                _ask_beside_damage(server, path, size) for path in (URBAN_SOUND, recordings.EMOTION)
            ]
            shutil.copytree(
                STORE / "emotion" / "hann", store / "emotion" / "hann", dirs_exist_ok=True
            )
            card = store / "urban-sound" / "hann" / "card.json"
            old = card.read_text()
            other = old.replace(_urban_sound(server)["version"], "another")
            for case, text, state in (
                ("damaged card, reload", old[: len(old) // 2], "refused"),
                ("good card of another version, reload", other, "taken over"),
            ):
                stats = LoadStats()

                def fault(text: str = text) -> None:
                    _replace(card, text)
                    server.process.send_signal(signal.SIGHUP)

                run_clients(server, size, stats, fault=fault)
                _wait_for_reload(server, state)
                versions = ", ".join(f"{n} x {name}" for name, n in sorted(stats.versions.items()))
                rows.append(load_row(case, stats, state=state, versions=versions))
    return rows


def _ask_beside_damage(server: Server, path: str, size: Size) -> dict[str, object]:
    stats = LoadStats()
    requests = repeat(post(path, recordings.wav_clip()), size.requests // 4)
    asyncio.run(run_load(server.address, requests, stats, concurrency=CLIENTS))
    status = {one["task"]: one["status"] for one in server.get("/models")[1]["models"]}
    state = f"{'ready' if server.is_ready() else 'not ready'}; {status[path.rpartition('/')[2]]}"
    return load_row(f"emotion damaged; {path}", stats, state=state, versions="")


def _urban_sound(server: Server) -> dict[str, str]:
    models = server.get("/models")[1]["models"]
    found: dict[str, str] = next(one for one in models if one["task"] == "urban-sound")
    return found


def _wait_for_reload(server: Server, state: str) -> None:
    wait_until(lambda: _reload_state(server) == state)


def _reload_state(server: Server) -> str:
    found = _urban_sound(server)
    if found.get("error"):
        return "refused"
    return "taken over" if found["version"] == "another" else "pending"


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@contextmanager
def _full_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system without a free byte at `folder`. Needs root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
