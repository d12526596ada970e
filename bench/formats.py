"""The same clip as WAV, MP3 and M4A: latency of one client that sends them in turns.

python -m bench.formats [--times N]

A slow moment of the machine slows each of them, from one request to the next.
"""

import argparse
from statistics import median
from time import perf_counter

import httpx

from bench import recordings
from bench.servers import URBAN_SOUND, start_ready
from bench.tables import markdown_table

FORMATS = ("wav", "mp3", "m4a")
_WARM_UP = 5


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    times = parser.parse_args().times
    samples = recordings.make_samples()
    files = {name: recordings.encode(samples, name) for name in FORMATS}
    latencies: dict[str, list[float]] = {name: [] for name in FORMATS}
    with start_ready() as server, httpx.Client(timeout=60) as client:
        for turn in range(_WARM_UP + times):
            for name, data in files.items():
                began = perf_counter()
                client.post(server.url(URBAN_SOUND), files={"file": data}).raise_for_status()
                if turn >= _WARM_UP:
                    latencies[name].append(1000 * (perf_counter() - began))
    rows = []
    for name, milliseconds in latencies.items():
        ratios = [one / wav for one, wav in zip(milliseconds, latencies["wav"], strict=True)]
        rows.append(
            {
                "format": name,
                "p50 ms": f"{median(milliseconds):.1f}",
                "against WAV": f"{median(ratios):.2f}",
            }
        )
    print(markdown_table(rows))


if __name__ == "__main__":
    main()
