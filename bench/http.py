"""Throughput and latency of Earshot and other servers on the same machine, by concurrency.

python -m bench.http [--rounds N] [--seconds N] [--out DIR]

The servers, and the network alone, take turns within each round, so that a slow moment of the
machine slows them all; figures are medians over rounds, and ratios are medians of the ratios of
each round. Prints tables, and writes `http.json` and `performance.png`.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench import recordings
from bench.model_only import ModelOnly
from bench.servers import URBAN_SOUND, start
from bench.tables import figures_table, markdown_table
from bench.wrk import WrkReport, measure

CONCURRENCIES = (1, 2, 4, 8, 16, 32)
SERVERS: Mapping[str, tuple[str, dict[str, str]]] = {
    "earshot": ("earshot", {"log_level": "error"}),
    "earshot, 2 streams": ("earshot", {"log_level": "error", "engine_streams": "2"}),
    "litserve": ("litserve", {}),
    "naive": ("naive", {}),
}
"""name in the tables -> program and settings"""

Round = dict[str, dict[int, WrkReport]]
"""server -> concurrency -> report"""


def main() -> None:
    """Measure, print tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = ModelOnly()
    rounds: list[Round] = []
    networks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.wav"
        clip.write_bytes(recordings.wav_clip())
        for _ in range(options.rounds):
            rounds.append(run_round(clip, options.seconds))
            networks.append(max(model.measure(seconds=1).values()))
    figures = medians(rounds)
    print(table(figures), end="\n\n")
    print(figures_table("ratio", ratios(rounds, networks), digits=2), end="\n\n")
    print(f"The network alone, at its best: {median(networks):.0f} clips a second.")
    result = {
        "rounds": [
            {
                name: {count: vars(report) for count, report in by_count.items()}
                for name, by_count in one.items()
            }
            for one in rounds
        ],
        "networks": networks,
    }
    (options.out / "http.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(figures, options.out / "performance.png")


def run_round(clip: Path, seconds: int) -> Round:
    """Measure each server at each concurrency, once."""
    found: Round = {}
    for name, (program, settings) in SERVERS.items():
        with start(program, settings) as server:
            server.seconds_to_first_answer(clip.read_bytes())
            url = server.url(URBAN_SOUND)
            found[name] = {
                concurrency: measure(url, clip, concurrency=concurrency, seconds=seconds)
                for concurrency in CONCURRENCIES
            }
    return found


def medians(rounds: list[Round]) -> Round:
    """Return the median over rounds of each figure by itself; errors are added up."""

    def combine(name: str, concurrency: int) -> WrkReport:
        reports = [one[name][concurrency] for one in rounds]
        return WrkReport(
            requests_per_second=median(each.requests_per_second for each in reports),
            p50_ms=median(each.p50_ms for each in reports),
            p99_ms=median(each.p99_ms for each in reports),
            errors=sum(each.errors for each in reports),
        )

    return {name: {count: combine(name, count) for count in rounds[0][name]} for name in rounds[0]}


def ratios(rounds: list[Round], networks: list[float]) -> dict[str, float]:
    """Compare Earshot with the others, and its latencies with each other: medians over rounds.

    Args:
        rounds: reports of the servers.
        networks: clips a second of the network alone at its best, in each round.
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
    best = [max(each.requests_per_second for each in one["earshot"].values()) for one in rounds]
    found["requests/s at its best concurrency, against clips/s of the network alone"] = median(
        rate / network for rate, network in zip(best, networks, strict=True)
    )
    found["p99 against p50 at concurrency 8"] = median(
        one["earshot"][8].p99_ms / one["earshot"][8].p50_ms for one in rounds
    )
    return found


def table(figures: Round) -> str:
    """Return a table with a row for each server and concurrency."""
    return markdown_table(
        [
            {
                "server": name,
                "concurrency": concurrency,
                "requests/s": f"{report.requests_per_second:.1f}",
                "p50 ms": f"{report.p50_ms:.1f}",
                "p99 ms": f"{report.p99_ms:.1f}",
                "errors": report.errors,
            }
            for name, by_count in figures.items()
            for concurrency, report in by_count.items()
        ]
    )


def draw(figures: Round, file: Path) -> None:
    """Draw throughput and latency against concurrency."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    throughput, latency = figure.subplots(1, 2)
    for name, by_count in figures.items():
        counts, reports = list(by_count), list(by_count.values())
        throughput.plot(counts, [each.requests_per_second for each in reports], "o-", label=name)
        (line,) = latency.plot(
            counts, [each.p50_ms for each in reports], "o-", label=f"{name}, p50"
        )
        latency.plot(counts, [each.p99_ms for each in reports], ":", color=line.get_color())
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
