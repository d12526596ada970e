"""The network with no service around it: clips a second by batch size and streams.

python -m bench.model_only [--rounds N] [--seconds S]

The service can reach no more.
"""

import argparse
import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from app.audio.network_inputs import input_shape
from app.checkpoints import store
from app.checkpoints.store import Checkpoint, ModelKey
from app.inference.engine import OpenVinoEngine
from bench.tables import markdown_table

STORE = Path(__file__).parents[1] / "models_store"
STREAM_COUNTS = (1, 2)
BATCHES = (1, 2, 4, 8, 16)


def default_checkpoint() -> Checkpoint:
    """Load the checkpoint that everything is measured with: urban-sound's default."""
    return store.load(STORE, ModelKey("urban-sound", "hann"))


class ModelOnly:
    """The network of the default checkpoint, compiled once for each number of streams."""

    def __init__(self, streams: Sequence[int] = STREAM_COUNTS) -> None:
        checkpoint = default_checkpoint()
        self._config = checkpoint.card.input
        self._engines = {
            count: OpenVinoEngine(checkpoint.model, streams=count) for count in streams
        }

    def clips_per_second(self, streams: int, batch: int, seconds: float) -> float:
        """Measure as many threads as streams, each with one batch after the other."""
        shape = (batch, *input_shape(self._config))
        spectrograms = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        engine = self._engines[streams]
        engine.infer(spectrograms)
        clips = [0] * streams
        began = perf_counter()

        def work(index: int) -> None:
            while perf_counter() - began < seconds:
                engine.infer(spectrograms)
                clips[index] += batch

        threads = [threading.Thread(target=work, args=(index,)) for index in range(streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(clips) / (perf_counter() - began)

    def measure(self, seconds: float) -> dict[tuple[int, int], float]:
        """Return (streams, batch) -> clips a second."""
        return {
            (streams, batch): self.clips_per_second(streams, batch, seconds)
            for streams in self._engines
            for batch in BATCHES
        }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    options = parser.parse_args()
    model = ModelOnly()
    rounds = [model.measure(options.seconds) for _ in range(options.rounds)]
    rates = {key: median(each[key] for each in rounds) for key in rounds[0]}
    rows = [
        {"streams": streams}
        | {f"batch {batch}": f"{rates[streams, batch]:.0f}" for batch in BATCHES}
        for streams in STREAM_COUNTS
    ]
    print(markdown_table(rows))


if __name__ == "__main__":
    main()
