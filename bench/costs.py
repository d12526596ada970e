"""Where a request's time goes, from outside and from within, as stacked bars.

python -m bench.costs [--seconds N] [--concurrency N] [--out DIR]

Of cores: what the service's process takes for a request under load, from /proc; what reading,
decoding and the network take by themselves; the rest is what it takes to tie them together. Of
the clock: what the service's own metrics say of requests that come one at a time. Writes
`costs.png`.
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

from app.audio.clips import clip_blocks
from app.decoding.recording import read_recording
from app.inference.engine import MAX_BATCH_SIZE, OpenVinoEngine
from bench import clips, micro
from bench.load import measure
from bench.other_servers import Server, serve
from bench.shipped import shipped_checkpoint
from bench.tables import markdown

_of_cores = partial(micro.milliseconds, clock=time.process_time)
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
        clip.write_bytes(clips.encode(clips.samples(), "wav"))
        empty.write_bytes(without_sound(clip.stat().st_size))
        with serve("earshot", clip.read_bytes()) as server:
            under_load = of_cores(server, clip, options.concurrency, options.seconds)
            refusing = of_cores(server, empty, options.concurrency, options.seconds)
            alone = of_the_clock(server, clip, options.seconds)
        bars = {
            f"of cores, {options.concurrency} at a time": by_cost(
                under_load, refusing, steps(clip.read_bytes())
            ),
            "of the clock, one at a time": alone,
        }
    for name, parts in bars.items():
        rows = {**parts, "all": sum(parts.values())}
        heading = f"ms a request, {name}"
        print(markdown([{heading: part, "": f"{ms:.2f}"} for part, ms in rows.items()]) + "\n")
    draw(bars, options.out / "costs.png")


def without_sound(size: int) -> bytes:
    """A WAV of `size` bytes that holds nothing to hear: it is read, and refused when opened."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    data = struct.pack("<4sI", b"data", 0)
    junk = size - 12 - len(form) - len(data) - 8
    junk -= junk % 2
    chunks = form + struct.pack("<4sI", b"JUNK", junk) + bytes(junk) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks


def of_cores(server: Server, file: Path, concurrency: int, seconds: int) -> float:
    """Milliseconds of a core that the server takes for a request."""
    measure(server.url, file, concurrency=concurrency, seconds=1)
    used = server.cpu_seconds()
    load = measure(server.url, file, concurrency=concurrency, seconds=seconds)
    return (server.cpu_seconds() - used) / (load.requests_per_second * seconds) * 1e3


def of_the_clock(server: Server, clip: Path, seconds: int) -> dict[str, float]:
    """Milliseconds of each stage of requests that come one at a time, by the service's metrics."""
    before, requests = _sums(server)
    measure(server.url, clip, concurrency=1, seconds=seconds)
    after, all_requests = _sums(server)
    taken = {name: (after[name] - before[name]) / (all_requests - requests) * 1e3 for name in after}
    whole = taken.pop(_WHOLE)
    return {**taken, "upload, HTTP, waiting for threads": whole - sum(taken.values())}


def steps(data: bytes) -> dict[str, float]:
    """Milliseconds of a core that each step takes by itself."""
    checkpoint = shipped_checkpoint()
    config = checkpoint.card.input
    engine = OpenVinoEngine(checkpoint.model)

    def decode() -> np.ndarray:
        return read_recording(data, sample_rate=config.sample_rate, max_seconds=60).samples

    samples = decode()
    block = next(clip_blocks([samples], config, clips=1))
    batch = np.repeat(block.spectrograms, MAX_BATCH_SIZE, axis=0)
    return {
        f"network, in batches of {MAX_BATCH_SIZE}": _of_cores(lambda: engine.infer(batch))
        / MAX_BATCH_SIZE,
        "decoding and resampling": _of_cores(decode),
        "spectrogram": _of_cores(lambda: list(clip_blocks([samples], config, clips=1))),
    }


def by_cost(under_load: float, refusing: float, of_steps: Mapping[str, float]) -> dict[str, float]:
    """What a request's time of cores is made of."""
    parts = {**of_steps, "upload and HTTP (as of a file that is refused)": refusing}
    rest = under_load - sum(parts.values())
    return {**parts, "the rest: threads, smaller batches, the answer": rest}


def draw(bars: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """A stacked bar each, with its own legend."""
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


def _sums(server: Server) -> tuple[dict[str, float], float]:
    """Seconds of each stage and of whole requests so far, and how many of these there were."""
    host, port = server.address
    text = httpx.get(f"http://{host}:{port}/metrics").text
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
