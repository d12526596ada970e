"""The parts of a request's time, in processor time and on the clock, as stacked bars.

python -m bench.costs [--seconds N] [--concurrency N] [--out DIR]

Processor time: of the service's process for a request under load, from /proc; reading, decoding
and the network by themselves; the rest ties them together. On the clock: the service's own
metrics of requests that come one at a time. Writes `costs.png`.
"""

import argparse
import struct
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import threadpoolctl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from prometheus_client.parser import text_string_to_metric_families

from app.audio.network_inputs import clip_blocks
from app.inference.engine import MAX_BATCH_SIZE, OpenVinoEngine
from bench import micro, recordings
from bench.model_only import default_checkpoint
from bench.servers import URBAN_SOUND, Server, start_ready
from bench.tables import figures_table
from bench.wrk import measure

_cpu_milliseconds = partial(micro.milliseconds, clock=time.process_time)
_WHOLE = "request"
_ANSWERED = {"method": "POST", "route": "/classify/{task}", "status": "200"}


def main() -> None:
    """Measure, print tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    threadpoolctl.threadpool_limits(1, "blas")
    with tempfile.TemporaryDirectory() as folder:
        clip, empty = Path(folder) / "clip.wav", Path(folder) / "empty.wav"
        clip.write_bytes(recordings.wav_clip())
        empty.write_bytes(make_empty_wav(clip.stat().st_size))
        with start_ready() as server:
            load = partial(
                cpu_milliseconds, server, concurrency=options.concurrency, seconds=options.seconds
            )
            answered, refused = load(clip), load(empty)
            clock = clock_milliseconds(server, clip, options.seconds)
        bars = {
            f"of cores, {options.concurrency} at a time": split_cpu_time(
                answered, refused, step_milliseconds(clip.read_bytes())
            ),
            "of the clock, one at a time": clock,
        }
    for name, parts in bars.items():
        table = {**parts, "all": sum(parts.values())}
        print(figures_table(f"ms a request, {name}", table, digits=2) + "\n")
    draw(bars, options.out / "costs.png")


def make_empty_wav(size: int) -> bytes:
    """Make a WAV of `size` bytes without samples: it is read, and refused when it is opened."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    data = struct.pack("<4sI", b"data", 0)
    junk = size - 12 - len(form) - len(data) - 8
    junk -= junk % 2
    chunks = form + struct.pack("<4sI", b"JUNK", junk) + bytes(junk) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks


def cpu_milliseconds(server: Server, file: Path, *, concurrency: int, seconds: int) -> float:
    """Measure the processor time that the server takes for a request under load."""
    url = server.url(URBAN_SOUND)
    measure(url, file, concurrency=concurrency, seconds=1)
    used = server.cpu_seconds()
    report = measure(url, file, concurrency=concurrency, seconds=seconds)
    return (server.cpu_seconds() - used) / (report.requests_per_second * seconds) * 1e3


def clock_milliseconds(server: Server, clip: Path, seconds: int) -> dict[str, float]:
    """Measure the mean time of each stage of a request, by the service's own metrics."""
    before, requests = _stage_sums(server)
    measure(server.url(URBAN_SOUND), clip, concurrency=1, seconds=seconds)
    after, all_requests = _stage_sums(server)
    means = {name: (after[name] - before[name]) / (all_requests - requests) * 1e3 for name in after}
    whole = means.pop(_WHOLE)
    return {**means, "upload, HTTP, waiting for threads": whole - sum(means.values())}


def step_milliseconds(data: bytes) -> dict[str, float]:
    """Measure the processor time of each step by itself."""
    checkpoint = default_checkpoint()
    config = checkpoint.card.input
    engine = OpenVinoEngine(checkpoint.model)
    samples = micro.decode(data, config)
    block = next(clip_blocks([samples], config, clips=1))
    batch = np.repeat(block.inputs, MAX_BATCH_SIZE, axis=0)
    return {
        f"network, in batches of {MAX_BATCH_SIZE}": _cpu_milliseconds(lambda: engine.infer(batch))
        / MAX_BATCH_SIZE,
        "decoding and resampling": _cpu_milliseconds(lambda: micro.decode(data, config)),
        "spectrogram": _cpu_milliseconds(lambda: list(clip_blocks([samples], config, clips=1))),
    }


def split_cpu_time(answered: float, refused: float, steps: Mapping[str, float]) -> dict[str, float]:
    """Split the time of a request into its parts, which add up to it.

    Args:
        answered: processor time of a request that is answered, ms.
        refused: of one whose file is as large and refused when it is opened.
        steps: of each step by itself.
    """
    parts = {**steps, "upload and HTTP (as of a file that is refused)": refused}
    rest = answered - sum(parts.values())
    return {**parts, "the rest: threads, smaller batches, the answer": rest}


def draw(bars: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """Draw a stacked bar for each, with its own legend."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, parts) in zip(figure.subplots(len(bars), 1), bars.items(), strict=True):
        left = 0.0
        for part, milliseconds in parts.items():
            axes.barh([0], [milliseconds], left=left, label=f"{part}: {milliseconds:.2f}")
            left += milliseconds
        axes.set_title(f"ms a request, {name}", fontsize="medium")
        axes.set_yticks([])
        axes.set_xlim(0, left)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2, fontsize="small")
    figure.savefig(file, dpi=120)


def _stage_sums(server: Server) -> tuple[dict[str, float], float]:
    """Return the seconds of each stage and of whole requests so far, and the requests' number."""
    text = httpx.get(server.url("/metrics")).text
    sums, requests = {}, 0.0
    for sample in (
        each for family in text_string_to_metric_families(text) for each in family.samples
    ):
        if sample.name == "earshot_stage_duration_seconds_sum":
            sums[sample.labels["stage"]] = sample.value
        elif sample.labels == _ANSWERED and sample.name == "earshot_request_duration_seconds_sum":
            sums[_WHOLE] = sample.value
        elif sample.labels == _ANSWERED and sample.name == "earshot_request_duration_seconds_count":
            requests = sample.value
    return sums, requests


if __name__ == "__main__":
    main()
