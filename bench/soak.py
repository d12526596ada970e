"""Many requests of every kind, and what the server holds while it answers them.

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
from bench.clients import Tally, drive
from bench.servers import Held, Server, serve
from bench.tables import counted, markdown

_SAMPLES = 200


def main() -> None:
    """Soak a server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/soak"))
    options = parser.parse_args()
    with serve() as server:
        began = time.perf_counter()
        tally, samples = soak(server, options.requests, options.concurrency)
        seconds = time.perf_counter() - began
    print(f"{len(tally.ends)} requests in {seconds:.0f} s, {options.concurrency} at a time\n")
    print(markdown([counted("all", tally)]), end="\n\n")
    print(markdown(by_kind(tally)), end="\n\n")
    print(markdown(by_tenth(samples)), end="\n\n")
    print(f"growth over the second half: {growth(samples) / 1e6:+.1f} MB")
    options.out.mkdir(parents=True, exist_ok=True)
    result = {
        "seconds": seconds,
        "kinds": by_kind(tally),
        "held": {count: asdict(held) for count, held in samples.items()},
        "second_half_growth_bytes": growth(samples),
    }
    (options.out / "soak.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(samples, options.out / "soak.png")


def soak(server: Server, requests: int, concurrency: int) -> tuple[Tally, dict[int, Held]]:
    """Send so many requests of the mix.

    Returns what became of them, and what the server held, by the number of requests that it had
    answered.
    """
    tally = Tally()
    samples: dict[int, Held] = {}
    every = max(1, requests // _SAMPLES)

    def answered(_request: object, _answer: object) -> None:
        if tally.sent % every == 0 or tally.sent == requests:
            samples[tally.sent] = server.held()

    asyncio.run(
        drive(
            server.address,
            islice(recordings.mix(), requests),
            tally,
            concurrency=concurrency,
            on_answer=answered,
        )
    )
    return tally, samples


def by_kind(tally: Tally) -> list[dict[str, object]]:
    """A row for each kind of request and what became of it."""
    return [
        {"kind": kind, "outcome": outcome, "requests": count}
        for (kind, outcome), count in sorted(tally.kinds.items(), key=str)
    ]


def by_tenth(samples: dict[int, Held]) -> list[dict[str, object]]:
    """A row of what was held after each tenth of the requests."""
    counts = list(samples)
    places = [round(tenth * (len(counts) - 1) / 10) for tenth in range(11)]
    return [
        {
            "requests": count,
            "RSS MB": f"{samples[count].resident / 1e6:.1f}",
            "files": samples[count].files,
            "threads": samples[count].threads,
        }
        for count in (counts[place] for place in places)
    ]


def growth(samples: dict[int, Held]) -> float:
    """Bytes of memory, from the middle to the end: means of a tenth of the samples at each."""
    resident = [held.resident for held in samples.values()]
    width = max(1, len(resident) // 10)
    middle = resident[len(resident) // 2 :][:width]
    return sum(resident[-width:]) / width - sum(middle) / len(middle)


def draw(samples: dict[int, Held], file: Path) -> None:
    """Memory against requests, as a PNG."""
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(list(samples), [held.resident / 1e6 for held in samples.values()])
    axes.set(xlabel="requests", ylabel="resident memory, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
