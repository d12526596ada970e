"""What a process of Earshot costs: its start, its memory, and an hour of audio.

python -m bench.process [--requests N] [--rounds N]
"""

import argparse
import asyncio
import io
import tempfile
from itertools import repeat
from statistics import median
from time import perf_counter

import httpx
import numpy as np
import soundfile

from bench import clips
from bench.clients import Request, Tally, drive, post
from bench.other_servers import Server, serve
from bench.tables import markdown

TASKS = ("urban-sound", "emotion")
_HOUR = 3600
_HOUR_SAMPLE_RATE = 16_000


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5, help="starts, and hours")
    options = parser.parse_args()
    clip = clips.encode(clips.samples(), "wav")
    with tempfile.TemporaryDirectory() as cache:
        starts = [
            start(clip, options.rounds, environment)
            for environment in ({}, {"EARSHOT_CACHE_DIR": cache})
        ]
    rows = {
        "start to the first answer, s": starts[0],
        "the same with the networks compiled before (`EARSHOT_CACHE_DIR`), s": starts[1],
    }
    with serve("earshot", clip) as server:
        half, whole = memory(server, clip, options.requests)
    rows[f"resident after {options.requests} requests to two checkpoints, MB"] = whole / 1e6
    rows["of it, grown over their second half, MB"] = (whole - half) / 1e6
    for format_ in ("WAV", "FLAC", "MP3"):
        data = hour(format_)
        with serve("earshot", clip) as server:
            seconds, cpu_seconds = long_upload(server, data, options.rounds)
            held = server.resident_bytes()
        name = f"an hour of audio in one upload, {format_} of {len(data) / 1e6:.0f} MB"
        rows[f"{name}, s"] = seconds
        rows[f"{name}, s of a core"] = cpu_seconds
        rows[f"resident after {options.rounds} of them, {format_}, MB"] = held / 1e6
    print(markdown([{"figure": name, "": f"{value:.1f}"} for name, value in rows.items()]))


def start(clip: bytes, rounds: int, environment: dict[str, str]) -> float:
    """Median seconds from the start of a process to its first answer, the first left out."""
    found = []
    for _ in range(1 + rounds):
        with serve("earshot", clip, **environment) as server:
            found.append(server.first_answer_seconds)
    return median(found[1:])


def memory(server: Server, clip: bytes, requests: int) -> tuple[int, int]:
    """Bytes that a server holds after half of the requests, and after all."""
    held = []
    for _ in range(2):
        for task in TASKS:
            _send(server, post(f"/classify/{task}", clip), requests // 4)
        held.append(server.resident_bytes())
    return held[0], held[1]


def _send(server: Server, request: Request, count: int) -> None:
    tally = Tally()
    asyncio.run(drive(server.address, repeat(request, count), tally, concurrency=8))
    if tally.unanswered:
        raise RuntimeError(f"not all were answered: {tally.outcomes}")


def hour(format_: str) -> bytes:
    """An hour of a tone that glides through noise, mono, 16 kHz."""
    minute = clips.samples(60, _HOUR_SAMPLE_RATE)[:, :1]
    file = io.BytesIO()
    soundfile.write(file, np.tile(minute, (60, 1)), _HOUR_SAMPLE_RATE, format=format_)
    return file.getvalue()


def long_upload(server: Server, data: bytes, rounds: int) -> tuple[float, float]:
    """Median seconds that one recording takes, and those of cores."""
    times, of_cores = [], []
    for _ in range(rounds):
        began, used = perf_counter(), server.cpu_seconds()
        answer = httpx.post(server.url, files={"file": data}, timeout=600).raise_for_status()
        times.append(perf_counter() - began)
        of_cores.append(server.cpu_seconds() - used)
        if round(answer.json()["clip"]["seconds"]) != _HOUR:
            raise RuntimeError(f"not an hour: {answer.json()['clip']}")
    return median(times), median(of_cores)


if __name__ == "__main__":
    main()
