"""The same clip as WAV, MP3 and M4A: latency of one client that sends them in turns.

python -m bench.formats [--times N]

What slows the machine slows each of them, from one request to the next.
"""

import argparse
from statistics import median
from time import perf_counter

import httpx

from bench import clips
from bench.other_servers import serve
from bench.tables import markdown

FORMATS = ("wav", "mp3", "m4a")
_WARM_UP = 5


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    times = parser.parse_args().times
    files = {name: clips.encode(clips.samples(), name) for name in FORMATS}
    found: dict[str, list[float]] = {name: [] for name in FORMATS}
    with serve("earshot", files["wav"]) as server, httpx.Client(timeout=60) as client:
        for turn in range(_WARM_UP + times):
            for name, data in files.items():
                began = perf_counter()
                client.post(server.url, files={"file": data}).raise_for_status()
                if turn >= _WARM_UP:
                    found[name].append(1000 * (perf_counter() - began))
    rows = []
    for name, milliseconds in found.items():
        ratios = [one / wav for one, wav in zip(milliseconds, found["wav"], strict=True)]
        rows.append(
            {
                "format": name,
                "p50 ms": f"{median(milliseconds):.1f}",
                "against WAV": f"{median(ratios):.2f}",
            }
        )
    print(markdown(rows))


if __name__ == "__main__":
    main()
