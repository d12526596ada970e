"""The cost of each checkpoint of the store: speed with a 3 s clip, size, and memory.

python -m bench.checkpoints [--rounds N] [--seconds N]

Checkpoints take turns within each round, so that a slow moment of the machine slows them all;
figures are medians over rounds. Memory is that of a process that has answered by them.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from app.checkpoints import store
from app.checkpoints.store import ModelKey
from bench import recordings
from bench.model_only import STORE
from bench.servers import Server, start_ready
from bench.tables import figures_table, markdown_table
from bench.wrk import measure

_CLIP_SECONDS = 3
_BUSY = 8
"""connections"""


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    options = parser.parse_args()
    keys = store.list_checkpoints(STORE)
    data = recordings.encode(recordings.make_samples(_CLIP_SECONDS), "wav")
    with TemporaryDirectory() as folder, start_ready(preload="all") as server:
        clip = Path(folder) / "clip.wav"
        clip.write_bytes(data)
        print(markdown_table(speed_rows(server, keys, clip, options.rounds, options.seconds)))
    figures = {}
    for preload in ("default", "all"):
        with start_ready(preload=preload) as server:
            answered = [key for key in keys if preload == "all" or key.name == "hann"]
            for key in answered:
                post_twice(server, key, data)
            resident = server.resource_usage().resident_bytes / 1e6
            figures[f"resident with {len(answered)} checkpoints loaded, MB"] = resident
    print(figures_table("memory", figures, digits=0))


def speed_rows(
    server: Server, keys: Sequence[ModelKey], clip: Path, rounds: int, seconds: int
) -> list[dict[str, object]]:
    """Measure the checkpoints in turn; return a row for each."""
    busy: dict[ModelKey, list[float]] = defaultdict(list)
    alone: dict[ModelKey, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for key in keys:
            url = server.url(path_of(key))
            busy[key].append(
                measure(url, clip, concurrency=_BUSY, seconds=seconds).requests_per_second
            )
            alone[key].append(measure(url, clip, concurrency=1, seconds=seconds).p50_ms)
    return [
        {
            "checkpoint": str(key),
            "MB": f"{(STORE / key.task / key.name / store.MODEL).stat().st_size / 1e6:.1f}",
            f"requests/s at {_BUSY}": f"{median(busy[key]):.0f}",
            "p50 at 1, ms": f"{median(alone[key]):.1f}",
        }
        for key in keys
    ]


def post_twice(server: Server, key: ModelKey, data: bytes) -> None:
    """Classify a recording by a checkpoint, twice."""
    for _ in range(2):
        httpx.post(server.url(path_of(key)), files={"file": data}, timeout=60).raise_for_status()


def path_of(key: ModelKey) -> str:
    """Return the path and query that ask a checkpoint."""
    return f"/classify/{key.task}?checkpoint={key.name}"


if __name__ == "__main__":
    main()
