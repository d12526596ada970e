"""What the handlers share, made once when the service starts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

import anyio
from fastapi import Depends, Request

from app.genres import GenreLibrary
from app.inference.explain import Explainers
from app.inference.models import Models
from app.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """Settings, models and the threads that work happens on."""

    settings: Settings
    models: Models
    explainers: Explainers
    genres: GenreLibrary
    threads: anyio.CapacityLimiter

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on a worker thread, so that the event loop stays free."""
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.threads)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]
