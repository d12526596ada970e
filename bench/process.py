"""The costs of a process of Earshot: its start, its memory, and an hour of audio.

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

from bench import recordings
from bench.load import LoadStats, Request, post, run_load
from bench.servers import URBAN_SOUND, Server, start, start_ready
from bench.tables import figures_table

TASKS = ("urban-sound", "emotion")
_HOUR = 3600
_HOUR_SAMPLE_RATE = 16_000


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5, help="starts, and hours")
    options = parser.parse_args()
    clip = recordings.wav_clip()
    figures = {"start to the first answer, s": startup_seconds(clip, options.rounds)}
    with tempfile.TemporaryDirectory() as cache:
        figures["the same with the networks compiled before (`EARSHOT_CACHE_DIR`), s"] = (
            startup_seconds(clip, options.rounds, cache_dir=cache)
        )
    with start_ready() as server:
        half, whole = memory(server, clip, options.requests)
    figures[f"resident after {options.requests} requests to two checkpoints, MB"] = whole / 1e6
    figures["of it, grown over their second half, MB"] = (whole - half) / 1e6
    for format_ in ("WAV", "FLAC", "MP3"):
        data = make_hour(format_)
        with start_ready() as server:
            seconds, cpu_seconds = long_upload(server, data, options.rounds)
            resident = server.resource_usage().resident_bytes
        name = f"an hour of audio in one upload, {format_} of {len(data) / 1e6:.0f} MB"
        figures[f"{name}, s"] = seconds
        figures[f"{name}, s of a core"] = cpu_seconds
        figures[f"resident after {options.rounds} of them, {format_}, MB"] = resident / 1e6
    print(figures_table("figure", figures, digits=1))


def startup_seconds(clip: bytes, rounds: int, **settings: str) -> float:
    """Return the median seconds from start to first answer, the first round left out."""
    seconds = []
    for _ in range(1 + rounds):
        with start(settings={"log_level": "error"} | settings) as server:
            seconds.append(server.seconds_to_first_answer(clip))
    return median(seconds[1:])


def memory(server: Server, clip: bytes, requests: int) -> tuple[int, int]:
    """Return the bytes that a server holds after half of the requests, and after all."""
    resident = []
    for _ in range(2):
        for task in TASKS:
            _send(server, post(f"/classify/{task}", clip), requests // 4)
        resident.append(server.resource_usage().resident_bytes)
    return resident[0], resident[1]


def _send(server: Server, request: Request, count: int) -> None:
    stats = LoadStats()
    asyncio.run(run_load(server.address, repeat(request, count), stats, concurrency=8))
    if stats.unanswered:
        raise RuntimeError(f"not all were answered: {stats.outcomes}")


def make_hour(format_: str) -> bytes:
    """Make an hour of a tone that glides through noise, mono, 16 kHz."""
    minute = recordings.make_samples(60, _HOUR_SAMPLE_RATE)[:, :1]
    file = io.BytesIO()
    soundfile.write(file, np.tile(minute, (60, 1)), _HOUR_SAMPLE_RATE, format=format_)
    return file.getvalue()


def long_upload(server: Server, data: bytes, rounds: int) -> tuple[float, float]:
    """Return the median seconds that one recording takes, on the clock and of cores."""
    times, cpu_times = [], []
    for _ in range(rounds):
        began, used = perf_counter(), server.cpu_seconds()
        answer = httpx.post(server.url(URBAN_SOUND), files={"file": data}, timeout=600)
        times.append(perf_counter() - began)
        cpu_times.append(server.cpu_seconds() - used)
        audio = answer.raise_for_status().json()["audio"]
        if round(audio["seconds"]) != _HOUR:
            raise RuntimeError(f"not an hour: {audio}")
    return median(times), median(cpu_times)


if __name__ == "__main__":
    main()
