"""What the handlers share, made once when the service starts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

import anyio
from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from app.api.problems import overloaded, too_late
from app.genres import GenreLibrary
from app.inference.answers import Classification
from app.inference.classifier import Classifier
from app.inference.explain import Explainers
from app.inference.models import Models
from app.inference.recognition import Wanted, recognise
from app.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Service:
    """Settings, models, the threads that work happens on, and how much of it is going on."""

    settings: Settings
    models: Models
    explainers: Explainers
    genres: GenreLibrary
    threads: anyio.CapacityLimiter
    _accepted: int = field(default=0, init=False)

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on a worker thread, so that the event loop stays free."""
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.threads)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request while it is worked on.

        Raises ProblemError (503) at once when as many are as may be: those that were accepted
        keep their pace, and nobody waits for nothing.
        """
        if self._accepted >= self.settings.max_requests:
            raise overloaded(f"{self._accepted} requests are being answered already")
        self._accepted += 1
        try:
            yield
        finally:
            self._accepted -= 1

    async def recognise(
        self, classifier: Classifier, data: bytes, wanted: Wanted
    ) -> Classification:
        """What is in the file `data`; see `app.inference.recognition.recognise`."""
        return await recognise(
            classifier,
            data,
            wanted,
            max_seconds=self.settings.max_seconds,
            on_thread=self.compute,
        )

    async def answer(self, request: Request, work: Awaitable[T]) -> T:
        """Wait for `work`, but no longer than its deadline or its client.

        The body of `request` must have been read.

        Raises:
            ProblemError: (503) the deadline passed.
            ClientDisconnect: nobody is there any more to read the answer.
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_gone(request))
        both = (task, gone)
        try:
            await asyncio.wait(
                both,
                timeout=self.settings.request_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return task.result()
            if gone.done():
                raise ClientDisconnect
            raise too_late(self.settings.request_seconds)
        finally:
            for future in both:
                future.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]
