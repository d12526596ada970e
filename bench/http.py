"""Earshot beside other servers on the same machine: throughput and latency by concurrency.

python -m bench.http [--rounds N] [--seconds N] [--out DIR]

The servers, and the bare network, take turns within each round, so that what slows the machine
slows them all; figures are medians over rounds, and ratios are medians of the ratios of each
round. Prints tables, and writes `http.json` and `performance.png`.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench import clips
from bench.bare import Bare
from bench.load import Load, measure
from bench.other_servers import serve
from bench.tables import markdown

CONCURRENCIES = (1, 2, 4, 8, 16, 32)
SERVERS: Mapping[str, tuple[str, dict[str, str]]] = {
    "earshot": ("earshot", {}),
    "earshot, 2 streams": ("earshot", {"EARSHOT_STREAMS": "2"}),
    "litserve": ("litserve", {}),
    "naive": ("naive", {}),
}
"""what is measured -> the server's name and environment"""

Round = dict[str, dict[int, Load]]
"""server -> concurrency -> what it did"""


def main() -> None:
    """Measure, print tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    bare = Bare()
    rounds: list[Round] = []
    networks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.wav"
        clip.write_bytes(clips.encode(clips.samples(), "wav"))
        for _ in range(options.rounds):
            rounds.append(one_round(clip, options.seconds))
            networks.append(max(bare.table(seconds=1).values()))
    figures = medians(rounds)
    print(table(figures), end="\n\n")
    of_all = ratios(rounds, networks)
    print(markdown([{"ratio": name, "": f"{ratio:.2f}"} for name, ratio in of_all.items()]) + "\n")
    print(f"The bare network, at its best: {median(networks):.0f} clips a second.")
    result = {
        "rounds": [
            {
                name: {count: vars(load) for count, load in by_count.items()}
                for name, by_count in one.items()
            }
            for one in rounds
        ],
        "networks": networks,
    }
    (options.out / "http.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(figures, options.out / "performance.png")


def one_round(clip: Path, seconds: int) -> Round:
    """Each server at each concurrency, once."""
    found: Round = {}
    for name, (server_name, environment) in SERVERS.items():
        with serve(server_name, clip.read_bytes(), **environment) as server:
            found[name] = {
                concurrency: measure(server.url, clip, concurrency=concurrency, seconds=seconds)
                for concurrency in CONCURRENCIES
            }
    return found


def medians(rounds: list[Round]) -> Round:
    """Over rounds, each figure by itself; errors are added up."""

    def of(name: str, concurrency: int) -> Load:
        loads = [one[name][concurrency] for one in rounds]
        return Load(
            requests_per_second=median(load.requests_per_second for load in loads),
            p50_ms=median(load.p50_ms for load in loads),
            p99_ms=median(load.p99_ms for load in loads),
            errors=sum(load.errors for load in loads),
        )

    return {name: {count: of(name, count) for count in rounds[0][name]} for name in rounds[0]}


def ratios(rounds: list[Round], networks: list[float]) -> dict[str, float]:
    """Of Earshot to the others, and of its latencies to each other: medians over rounds.

    Args:
        rounds: what the servers did.
        networks: clips a second of the bare network at its best, in each round.
    """

    found = {}
    for other in rounds[0]:
        if not other.startswith("earshot"):
            found[f"requests/s at concurrency 8, against {other}"] = median(
                one["earshot"][8].requests_per_second / one[other][8].requests_per_second
                for one in rounds
            )
            found[f"p50 at concurrency 1, {other} against earshot"] = median(
                one[other][1].p50_ms / one["earshot"][1].p50_ms for one in rounds
            )
    best = [max(load.requests_per_second for load in one["earshot"].values()) for one in rounds]
    found["requests/s at its best concurrency, against clips/s of the bare network"] = median(
        rate / network for rate, network in zip(best, networks, strict=True)
    )
    found["p99 against p50 at concurrency 8"] = median(
        one["earshot"][8].p99_ms / one["earshot"][8].p50_ms for one in rounds
    )
    return found


def table(figures: Round) -> str:
    """Markdown: a row for each server and concurrency."""
    return markdown(
        [
            {
                "server": name,
                "concurrency": concurrency,
                "requests/s": f"{load.requests_per_second:.1f}",
                "p50 ms": f"{load.p50_ms:.1f}",
                "p99 ms": f"{load.p99_ms:.1f}",
                "errors": load.errors,
            }
            for name, by_count in figures.items()
            for concurrency, load in by_count.items()
        ]
    )


def draw(figures: Round, file: Path) -> None:
    """Throughput and latency against concurrency."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    throughput, latency = figure.subplots(1, 2)
    for name, by_count in figures.items():
        counts, loads = list(by_count), list(by_count.values())
        throughput.plot(counts, [load.requests_per_second for load in loads], "o-", label=name)
        (line,) = latency.plot(counts, [load.p50_ms for load in loads], "o-", label=f"{name}, p50")
        latency.plot(counts, [load.p99_ms for load in loads], ":", color=line.get_color())
    throughput.set_ylabel("requests/s")
    latency.set_ylabel("latency, ms (dotted: p99)")
    latency.set_yscale("log")
    throughput.set_ylim(bottom=0)
    throughput.legend()
    for axes in (throughput, latency):
        axes.set_xscale("log", base=2)
        axes.set_xticks(CONCURRENCIES, [str(count) for count in CONCURRENCIES])
        axes.set_xlabel("concurrency")
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
