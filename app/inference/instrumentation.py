"""Who is told what inference does, so that it need not know of metrics or traces."""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Literal, ParamSpec, TypeVar

from app.audio.features import ClipBlock
from app.decoding.errors import NotYetError

P = ParamSpec("P")
T = TypeVar("T")

Stage = Literal["decode", "features", "queue", "inference"]


class Instrumentation:
    """Is told what goes on; this one does nothing with it. Called from many threads."""

    def stage(self, stage: Stage, began: float, ended: float) -> None:
        """A block of up to eight clips passed a stage, at `perf_counter` seconds.

        Called in the context of the request that it belongs to.
        """

    def batch(self, clips: int) -> None:
        """The network is given `clips` together."""

    def waiting(self, change: int) -> None:
        """So many clips more, or fewer, wait for a network."""

    def loaded(self, checkpoints: int) -> None:
        """So many checkpoints are loaded now."""


NULL_INSTRUMENTATION = Instrumentation()


def observed(
    instrumentation: Instrumentation,
    stage: Stage,
    work: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """What `work` returns; `instrumentation` is told that it was a stage."""
    began = perf_counter()
    try:
        return work(*args, **kwargs)
    finally:
        instrumentation.stage(stage, began, perf_counter())


class StageTimer(Iterator[T]):
    """Passes on what another iterator yields, and counts the seconds that it takes to."""

    def __init__(self, inner: Iterator[T]) -> None:
        self._inner = inner
        self._seconds = 0.0

    def __next__(self) -> T:
        """What the other iterator yields next."""
        began = perf_counter()
        try:
            return next(self._inner)
        finally:
            self._seconds += perf_counter() - began

    def lap(self) -> float:
        """Seconds since the last lap; the next begins at nought."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def timed_blocks(
    blocks: Iterator[ClipBlock], decoding: StageTimer[T], instrumentation: Instrumentation
) -> Iterator[ClipBlock]:
    """Yield `blocks`, and tell what each took to decode and to make into spectrograms.

    Args:
        blocks: spectrograms of what `decoding` yields.
        decoding: the samples.
        instrumentation: is told; of a block that fails, of its decoding alone, and of one that
            is not decoded yet, nothing.
    """
    while True:
        began = perf_counter()
        try:
            block = next(blocks, None)
        except NotYetError:
            raise
        except BaseException:
            instrumentation.stage("decode", began, began + decoding.lap())
            raise
        decoded = began + decoding.lap()
        instrumentation.stage("decode", began, decoded)
        if block is None:
            return
        instrumentation.stage("features", decoded, perf_counter())
        yield block
