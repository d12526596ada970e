"""The network with nothing around it: clips a second by batch and streams.

python -m bench.bare [--rounds N] [--seconds S]

What a service around it reaches can be no more.
"""

import argparse
import threading
from collections.abc import Sequence
from statistics import median
from time import perf_counter

import numpy as np

from app.checkpoints.card import Card
from app.inference.engine import OpenVinoEngine
from bench.shipped import shipped_checkpoint
from bench.tables import markdown

STREAMS = (1, 2)
BATCHES = (1, 2, 4, 8, 16)


class Bare:
    """The network of a checkpoint, compiled once for each number of streams."""

    def __init__(self, streams: Sequence[int] = STREAMS) -> None:
        """Load the service's default checkpoint for urban sound."""
        checkpoint = shipped_checkpoint()
        self._card: Card = checkpoint.card
        self._engines = {
            count: OpenVinoEngine(checkpoint.model, streams=count) for count in streams
        }

    def clips_per_second(self, streams: int, batch: int, seconds: float) -> float:
        """Of as many threads as streams, each with one batch after the other."""
        config = self._card.input
        shape = (batch, 1, config.n_mels, config.frames)
        spectrograms = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        engine = self._engines[streams]
        engine.infer(spectrograms)
        done = [0] * streams
        began = perf_counter()

        def work(index: int) -> None:
            while perf_counter() - began < seconds:
                engine.infer(spectrograms)
                done[index] += batch

        threads = [threading.Thread(target=work, args=(index,)) for index in range(streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(done) / (perf_counter() - began)

    def table(self, seconds: float) -> dict[tuple[int, int], float]:
        """(streams, batch) -> clips a second."""
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
    bare = Bare()
    rounds = [bare.table(options.seconds) for _ in range(options.rounds)]
    rates = {key: median(each[key] for each in rounds) for key in rounds[0]}
    rows = [
        {"streams": streams}
        | {f"batch {batch}": f"{rates[streams, batch]:.0f}" for batch in BATCHES}
        for streams in STREAMS
    ]
    print(markdown(rows))


if __name__ == "__main__":
    main()
