"""Earshot beside other servers on the same machine: throughput, latency, memory, start.

python -m benchmarks.http [--rounds N] [--seconds N] [--out DIR]

The servers take turns within each round, so that what slows the machine slows them all;
figures are medians over rounds, and ratios are medians of the ratios of each round.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import clips
from benchmarks.load import measure
from benchmarks.servers import serve

CONCURRENCIES = (1, 2, 4, 8, 16, 32)
FORMATS = ("wav", "mp3", "m4a")
SERVERS = ("earshot", "naive")


def main() -> None:
    """Measure, print a table and write `http.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for format_ in FORMATS:
            files[format_] = Path(folder) / f"clip.{format_}"
            files[format_].write_bytes(clips.encode(clips.samples(), format_))
        results = {
            "concurrency": by_concurrency(files["wav"], options.rounds, options.seconds),
            "formats": by_format(files, options.rounds, options.seconds),
        }
    (options.out / "http.json").write_text(json.dumps(results, indent=2) + "\n")
    print(table(results["concurrency"]))


def by_concurrency(
    clip: Path, rounds: int, seconds: int
) -> dict[str, dict[int, list[dict[str, float]]]]:
    """server -> concurrency -> what was measured in each round."""
    found: dict[str, dict[int, list[dict[str, float]]]] = {
        name: {concurrency: [] for concurrency in CONCURRENCIES} for name in SERVERS
    }
    for _ in range(rounds):
        for name in SERVERS:
            with serve(name, clip.read_bytes()) as server:
                for concurrency in CONCURRENCIES:
                    load = measure(server.url, clip, concurrency=concurrency, seconds=seconds)
                    found[name][concurrency].append(vars(load))
    return found


def by_format(files: dict[str, Path], rounds: int, seconds: int) -> dict[str, list[float]]:
    """format -> median latency at concurrency 1, ms, in each round; Earshot alone."""
    found: dict[str, list[float]] = {name: [] for name in files}
    with serve("earshot", files["wav"].read_bytes()) as server:
        for _ in range(rounds):
            for name, clip in files.items():
                load = measure(server.url, clip, concurrency=1, seconds=seconds)
                found[name].append(load.p50_ms)
    return found


def table(results: dict[str, dict[int, list[dict[str, float]]]]) -> str:
    """Markdown: a row for each server and concurrency."""
    lines = [
        "| server | concurrency | requests/s | p50 ms | p99 ms | errors |",
        "|---|---|---|---|---|---|",
    ]
    for name, by_count in results.items():
        for concurrency, rounds in by_count.items():
            middle = {key: median(each[key] for each in rounds) for key in rounds[0]}
            lines.append(
                f"| {name} | {concurrency} | {middle['requests_per_second']:.1f} "
                f"| {middle['p50_ms']:.1f} | {middle['p99_ms']:.1f} | {middle['errors']:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
