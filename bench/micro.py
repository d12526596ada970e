"""Where a request's time goes: each step by itself, on the clip that the servers are sent.

python -m bench.micro [--out DIR]
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import threadpoolctl

from app.audio.log_mel import LogMelConfig, log_mel
from app.decoding.recording import read_recording
from app.inference.batcher import Batcher
from app.inference.engine import OpenVinoEngine
from app.telemetry.metrics import Metrics
from bench import clips
from bench.shipped import shipped_checkpoint

_REPEATS = 200
_BATCHES = (1, 2, 4, 8, 16)


def main() -> None:
    """Measure, print and write `micro.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    threadpoolctl.threadpool_limits(1, "blas")
    checkpoint = shipped_checkpoint()
    engine = OpenVinoEngine(checkpoint.model)
    figures = {
        **front_end_figures(checkpoint.card.input),
        **engine_figures(engine, checkpoint.card.input),
        **batcher_figures(engine, checkpoint.card.input),
        **metrics_figures(),
    }
    for name, milliseconds in figures.items():
        print(f"{name:40} {milliseconds:8.3f} ms")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "micro.json").write_text(json.dumps(figures, indent=2) + "\n")


def front_end_figures(config: LogMelConfig) -> dict[str, float]:
    """Decoding and resampling of each format, and the spectrogram of a clip, ms."""
    figures = {}
    for format_ in ("wav", "flac", "mp3", "m4a"):
        data = clips.encode(clips.samples(), format_)
        figures[f"decode and resample {format_}"] = milliseconds(
            lambda data=data: read_recording(data, sample_rate=config.sample_rate, max_seconds=60)
        )
    clip = read_recording(
        clips.encode(clips.samples(), "wav"), sample_rate=config.sample_rate, max_seconds=60
    ).samples[: config.clip_samples]
    figures["spectrogram"] = milliseconds(lambda: log_mel(clip, config))
    return figures


def engine_figures(engine: OpenVinoEngine, config: LogMelConfig) -> dict[str, float]:
    """The bare network, ms a clip, by batch size."""
    figures = {}
    for size in _BATCHES:
        batch = _spectrograms(size, config)
        figures[f"network, a clip in batches of {size}"] = (
            milliseconds(lambda batch=batch: engine.infer(batch)) / size
        )
    return figures


def batcher_figures(engine: OpenVinoEngine, config: LogMelConfig) -> dict[str, float]:
    """What the batcher adds to a clip that comes alone, ms."""
    clip = _spectrograms(1, config)

    async def measure() -> float:
        batcher = Batcher(engine, max_batch=8, max_waiting=100, streams=1)
        times = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            await batcher.infer(clip)
            times.append(time.perf_counter() - start)
        return median(times) * 1e3

    return {"network through the batcher, alone": asyncio.run(measure())}


def metrics_figures() -> dict[str, float]:
    """All that is recorded of a request with one clip, ms."""
    metrics = Metrics()

    def record() -> None:
        metrics.request_began()
        metrics.stage("decode", 0.0, 0.001)
        metrics.stage("features", 0.0, 0.001)
        metrics.waiting(1)
        metrics.waiting(-1)
        metrics.batch(1)
        metrics.stage("queue", 0.0, 0.0)
        metrics.stage("inference", 0.0, 0.004)
        metrics.answered("urban-sound", "hann", "siren", 4.0)
        metrics.request_ended("/classify/{task}", "POST", 200, 0.01)

    return {"recording a request's metrics": milliseconds(record)}


def _spectrograms(count: int, config: LogMelConfig) -> np.ndarray:
    shape = (count, 1, config.n_mels, config.frames)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def milliseconds(
    work: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median time of `work` by a clock in seconds, after a few runs that warm it up."""
    times = []
    for _ in range(_REPEATS):
        start = clock()
        work()
        times.append(clock() - start)
    return median(times[_REPEATS // 10 :]) * 1e3


if __name__ == "__main__":
    main()
