"""Many requests of every kind, and the resources that the server uses meanwhile.

python -m bench.soak [--requests N] [--concurrency N] [--out DIR]

Prints tables, and writes `soak.json` and `soak.png`: memory against requests.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench import recordings
from bench.load import LoadStats, run_load
from bench.servers import ResourceUsage, Server, start_ready
from bench.tables import load_row, markdown_table

_SAMPLES = 200


def main() -> None:
    """Soak a server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/soak"))
    options = parser.parse_args()
    with start_ready() as server:
        began = time.perf_counter()
        stats, samples = soak(server, options.requests, options.concurrency)
        seconds = time.perf_counter() - began
    requests = len(stats.final_outcomes)
    print(f"{requests} requests in {seconds:.0f} s, {options.concurrency} at a time\n")
    print(markdown_table([load_row("all", stats)]), end="\n\n")
    print(markdown_table(by_kind(stats)), end="\n\n")
    print(markdown_table(by_tenth(samples)), end="\n\n")
    print(f"growth over the second half: {growth(samples) / 1e6:+.1f} MB")
    options.out.mkdir(parents=True, exist_ok=True)
    result = {
        "seconds": seconds,
        "kinds": by_kind(stats),
        "usage": {count: asdict(usage) for count, usage in samples.items()},
        "second_half_growth_bytes": growth(samples),
    }
    (options.out / "soak.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(samples, options.out / "soak.png")


def soak(
    server: Server, requests: int, concurrency: int
) -> tuple[LoadStats, dict[int, ResourceUsage]]:
    """Send so many requests of the mix.

    Returns their outcomes, and samples of the server's resources by the number of requests that
    it had answered.
    """
    stats = LoadStats()
    samples: dict[int, ResourceUsage] = {}
    every = max(1, requests // _SAMPLES)

    def sample(_request: object, _response: object) -> None:
        if stats.attempts % every == 0 or stats.attempts == requests:
            samples[stats.attempts] = server.resource_usage()

    asyncio.run(
        run_load(
            server.address,
            islice(recordings.request_mix(), requests),
            stats,
            concurrency=concurrency,
            on_response=sample,
        )
    )
    return stats, samples


def by_kind(stats: LoadStats) -> list[dict[str, object]]:
    """Return a row for each kind of request and each of its outcomes."""
    return [
        {"kind": kind, "outcome": outcome, "requests": count}
        for (kind, outcome), count in sorted(stats.by_kind.items(), key=str)
    ]


def by_tenth(samples: dict[int, ResourceUsage]) -> list[dict[str, object]]:
    """Return a row of the resources in use after each tenth of the requests."""
    counts = list(samples)
    places = [round(tenth * (len(counts) - 1) / 10) for tenth in range(11)]
    return [
        {
            "requests": count,
            "RSS MB": f"{samples[count].resident_bytes / 1e6:.1f}",
            "files": samples[count].files,
            "threads": samples[count].threads,
        }
        for count in (counts[place] for place in places)
    ]


def growth(samples: dict[int, ResourceUsage]) -> float:
    """Return the growth of memory from the middle to the end, bytes.

    At each, the mean of a tenth of the samples is taken.
    """
    resident = [usage.resident_bytes for usage in samples.values()]
    width = max(1, len(resident) // 10)
    middle = resident[len(resident) // 2 :][:width]
    return sum(resident[-width:]) / width - sum(middle) / len(middle)


def draw(samples: dict[int, ResourceUsage], file: Path) -> None:
    """Draw memory against requests, as a PNG."""
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(list(samples), [usage.resident_bytes / 1e6 for usage in samples.values()])
    axes.set(xlabel="requests", ylabel="resident memory, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
