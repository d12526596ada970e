"""Threads that take work off the event loop, never more of them than there are to be."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class WorkerThreads:
    """A fixed number of threads, first come, first served.

    A thread is taken until its work is done, whether somebody waits for it still or not: with
    anyio's, whose limiter counts those who wait, work whose clients are gone goes on beside that
    of others without limit. Work that was not begun when nobody waits any more is dropped.
    """

    def __init__(self, size: int, name: str) -> None:
        """Start no thread yet."""
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of `work`, called on a thread in the context of the caller."""
        context = contextvars.copy_context()
        call = partial(work, *args, **kwargs)
        return await asyncio.wrap_future(self._executor.submit(context.run, call))

    def close(self) -> None:
        """Drop what was not begun; what was goes on, and is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
