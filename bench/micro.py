"""The milliseconds of each step of a request by itself, on the clip that the servers are sent.

python -m bench.micro [--out DIR]
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from app.audio.network_inputs import InputConfig, input_shape, network_input
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from app.inference.batcher import Batcher
from app.inference.engine import OpenVinoEngine
from app.telemetry.prometheus import PrometheusMetrics
from bench import recordings
from bench.model_only import BATCHES, default_checkpoint
from bench.tables import figures_table

READER = RecordingReader(AudioLimits(max_seconds=60))
_REPEATS = 200


def main() -> None:
    """Measure, print a table and write `micro.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    threadpoolctl.threadpool_limits(1, "blas")
    checkpoint = default_checkpoint()
    engine = OpenVinoEngine(checkpoint.model)
    figures = {
        **front_end_figures(checkpoint.card.input),
        **engine_figures(engine, checkpoint.card.input),
        **batcher_figures(engine, checkpoint.card.input),
        **metrics_figures(),
    }
    print(figures_table("step, ms", figures, digits=3))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "micro.json").write_text(json.dumps(figures, indent=2) + "\n")


def front_end_figures(config: InputConfig) -> dict[str, float]:
    """Measure decoding and resampling of each format, and the spectrogram of a clip."""
    figures = {}
    samples = recordings.make_samples()
    for format_ in ("wav", "flac", "mp3", "m4a"):
        data = recordings.encode(samples, format_)
        figures[f"decode and resample {format_}"] = milliseconds(partial(decode, data, config))
    clip = decode(recordings.wav_clip(), config)[: config.clip_samples]
    figures["spectrogram"] = milliseconds(lambda: network_input(clip, config))
    return figures


def decode(data: bytes, config: InputConfig) -> NDArray[np.float32]:
    """Decode a file to the samples that a network with this input reads, shape `[samples]`."""
    return READER.read(data, sample_rate=config.sample_rate).samples


def engine_figures(engine: OpenVinoEngine, config: InputConfig) -> dict[str, float]:
    """Measure the network alone, ms a clip, by batch size."""
    figures = {}
    for size in BATCHES:
        batch = _inputs(size, config)
        figures[f"network, a clip in batches of {size}"] = (
            milliseconds(partial(engine.infer, batch)) / size
        )
    return figures


def batcher_figures(engine: OpenVinoEngine, config: InputConfig) -> dict[str, float]:
    """Measure the network with the batcher before it, for a clip that comes alone."""
    clip = _inputs(1, config)

    async def measure() -> float:
        batcher = Batcher(engine, max_batch=8, max_queued=100, streams=1)
        times = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            await batcher.infer(clip)
            times.append(time.perf_counter() - start)
        return median(times) * 1e3

    return {"network through the batcher, alone": asyncio.run(measure())}


def metrics_figures() -> dict[str, float]:
    """Measure everything that is recorded of a request with one clip."""
    metrics = PrometheusMetrics()

    def record() -> None:
        metrics.begin_request()
        metrics.record_stage("decode", 0.0, 0.001)
        metrics.record_stage("features", 0.0, 0.001)
        metrics.change_queue(1)
        metrics.change_queue(-1)
        metrics.record_batch(1)
        metrics.record_stage("queue", 0.0, 0.0)
        metrics.record_stage("inference", 0.0, 0.004)
        metrics.count_prediction("urban-sound", "hann", "siren", 4.0)
        metrics.end_request("/classify/{task}", "POST", 200, 0.01)

    return {"recording a request's metrics": milliseconds(record)}


def milliseconds(
    work: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the median time of `work` by a clock in seconds, after runs that warm it up."""
    times = []
    for _ in range(_REPEATS):
        start = clock()
        work()
        times.append(clock() - start)
    return median(times[_REPEATS // 10 :]) * 1e3


def _inputs(count: int, config: InputConfig) -> NDArray[np.float32]:
    shape = (count, *input_shape(config))
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


if __name__ == "__main__":
    main()
