"""Throughput beside that of another revision: both services run, and are asked in turn.

python -m bench.beside REVISION [--rounds N] [--seconds N] [--concurrency N]

A machine's speed drifts by more than what most changes cost. Rounds are short, so that a slow
moment slows both, and every second one is in the other order. Printed are the medians over rounds
of this revision's figure divided by the other's, with the range that half of the rounds lie in; of
a revision beside itself they tell how far the figures can be trusted.
"""

import argparse
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench import recordings
from bench.servers import URBAN_SOUND, Server, start_ready
from bench.tables import markdown_table
from bench.wrk import measure

_CLIP_SECONDS = 4
_WARM_UP_SECONDS = 3


@dataclass(frozen=True)
class Load:
    """What is asked of each server in a round."""

    clip: Path
    seconds: int
    concurrency: int


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="of this repository, as Git names it")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    with TemporaryDirectory() as folder, checkout(options.revision, Path(folder) / "tree") as tree:
        clip = Path(folder) / "clip.wav"
        clip.write_bytes(recordings.encode(recordings.make_samples(_CLIP_SECONDS), "wav"))
        load = Load(clip, options.seconds, options.concurrency)
        with start_ready() as here, start_ready(folder=tree) as there:
            ratios = measure_rounds(here, there, load, options.rounds)
    print(markdown_table(ratio_rows(ratios)))


@contextmanager
def checkout(revision: str, folder: Path) -> Iterator[Path]:
    """Check a revision out into a folder for as long as the block lasts."""
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", folder, revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", folder], check=True)


def measure_rounds(
    here: Server, there: Server, load: Load, rounds: int
) -> Mapping[str, Sequence[float]]:
    """Return figure -> that of `here` divided by that of `there`, in each round."""
    for server in (here, there):
        measure(
            server.url(URBAN_SOUND),
            load.clip,
            concurrency=load.concurrency,
            seconds=_WARM_UP_SECONDS,
        )
    throughput, cost = [], []
    for number in range(rounds):
        servers = (here, there) if number % 2 else (there, here)
        figures = {server: ask(server, load) for server in servers}
        throughput.append(figures[here][0] / figures[there][0])
        cost.append(figures[here][1] / figures[there][1])
    return {"requests/s": throughput, "processor time of a request": cost}


def ask(server: Server, load: Load) -> tuple[float, float]:
    """Return requests a second, and the processor seconds of each (Linux)."""
    before = server.cpu_seconds()
    report = measure(
        server.url(URBAN_SOUND), load.clip, concurrency=load.concurrency, seconds=load.seconds
    )
    requests = report.requests_per_second * load.seconds
    return report.requests_per_second, (server.cpu_seconds() - before) / requests


def ratio_rows(ratios: Mapping[str, Sequence[float]]) -> list[dict[str, object]]:
    """Return a row of a table for each figure."""
    rows: list[dict[str, object]] = []
    for name, values in ratios.items():
        low, middle, high = np.percentile(values, [25, 50, 75])
        rows.append(
            {
                "figure": name,
                "ratio": f"{middle:.3f}",
                "half of the rounds": f"{low:.3f} to {high:.3f}",
            }
        )
    return rows


if __name__ == "__main__":
    main()
