"""Hooks for those who measure inference, so that it need not know of metrics or traces."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

Stage = Literal["decode", "features", "queue", "inference"]


class Instrumentation:
    """Hooks that are called, from many threads, while recordings are classified; no-ops here."""

    def record_stage(self, stage: Stage, began: float, ended: float) -> None:
        """Record that a block of up to eight clips passed a stage, at `perf_counter` seconds.

        Called in the context of the request that the block belongs to.
        """

    def record_batch(self, clips: int) -> None:
        """Record that a network gets `clips` together."""

    def change_queue(self, clips: int) -> None:
        """Record that so many clips more, or fewer, wait for a network."""

    def set_loaded(self, checkpoints: int) -> None:
        """Record how many checkpoints are loaded now."""

    @contextmanager
    def time_stage(self, stage: Stage) -> Iterator[None]:
        """Record the body of a `with` statement as a stage."""
        began = perf_counter()
        try:
            yield
        finally:
            self.record_stage(stage, began, perf_counter())


class NullInstrumentation(Instrumentation):
    """Measures nothing."""


class StageTimer:
    """Measures the seconds of a part of a stage; see `lap`."""

    def __init__(self) -> None:
        self._seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the seconds of the body of a `with` statement."""
        began = perf_counter()
        try:
            yield
        finally:
            self._seconds += perf_counter() - began

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds
