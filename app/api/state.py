"""What the handlers share, made once when the service starts."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

import anyio
from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from app.api.admission import Patience, Place, Places, Space
from app.api.api_keys import Keys
from app.api.middleware.drain import Drain
from app.api.problems import too_late
from earshot.schemas import Classification
from app.inference.class_activation import Explainers
from app.inference.classifier import Classifier, OnProgress
from app.inference.decoding import Decoding
from app.inference.recognition import Wanted, recognise
from app.inference.registry import Models, Reloaded
from app.music.library import GenreLibrary
from app.settings import Settings
from app.telemetry.metrics import Metrics

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
    decoding: Decoding
    metrics: Metrics
    drain: Drain
    keys: Keys | None
    _places: Places = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        patience = Patience(settings.client_seconds, settings.min_upload_rate)
        space = Space(settings.max_held_bytes)
        self._places = Places(settings.max_requests, patience, space)

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on a worker thread, so that the event loop stays free."""
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.threads)

    def admitted(self) -> AbstractContextManager[Place]:
        """Hold a place while a request is worked on; see `Places.take`."""
        return self._places.take()

    async def reload(self) -> Reloaded:
        """Take over what the store and the file of keys hold now; see `Models.reload`."""
        if self.keys is not None:
            self.keys.reload()
        found = await self.models.reload()
        for key in (*found.replaced, *found.removed):
            self.explainers.forget(*key)
        return found

    async def recognise(
        self,
        classifier: Classifier,
        data: bytes,
        wanted: Wanted,
        on_progress: OnProgress | None = None,
    ) -> Classification:
        """What is in the file `data`; see `app.inference.recognition.recognise`."""
        work = partial(
            recognise,
            classifier,
            data,
            wanted,
            max_seconds=self.settings.max_seconds,
            on_thread=self.compute,
            bounds=self.settings.bounds,
            on_progress=on_progress,
        )
        answer = await self.decoding.with_ffmpeg(work)
        window = answer.checkpoint.window
        self.metrics.answered(answer.task, window, answer.label, answer.clip.seconds)
        return answer

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


async def _service(request: Request) -> Service:  # a plain function would be given a thread
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]
