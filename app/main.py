"""The service: `create_app` wires it, `python -m app` runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import threadpoolctl
from fastapi import FastAPI

from app import __version__
from app.api import (
    batch,
    classify,
    explain,
    genres,
    health,
    huggingface,
    page,
    problems,
    spectrogram,
    stream,
)
from app.api import models as models_api
from app.api.state import Service
from app.genres import GenreLibrary
from app.inference.explain import Explainers
from app.inference.models import Models
from app.loading import is_preloaded, loading
from app.settings import Settings

_DESCRIPTION = """
What is in this clip? Send a recording, get the emotion in a voice or the sound of a street,
with calibrated probabilities. Errors are `application/problem+json` (RFC 9457).
"""


_VERSION = "/v1"
_RESOURCES = (
    classify,
    batch,
    explain,
    huggingface,
    stream,
    spectrogram,
    genres,
    models_api,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Wire the service. Nothing is loaded before it starts."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The engine and the requests' own threads share the cores; BLAS has none to spare.
        threadpoolctl.threadpool_limits(1, "blas")
        models = Models(settings.models_dir, loading(settings))
        app.state.service = Service(
            settings=settings,
            models=models,
            explainers=Explainers(settings.models_dir),
            genres=GenreLibrary(settings.genres_dir),
            threads=anyio.CapacityLimiter(settings.threads),
        )
        await models.preload(key for key in models.entries if is_preloaded(key, settings))
        async with asyncio.TaskGroup() as tasks:
            releasing = tasks.create_task(_release_unused(models, settings.release_seconds))
            yield
            releasing.cancel()

    app = FastAPI(title="Earshot", version=__version__, description=_DESCRIPTION, lifespan=lifespan)
    problems.install(app)
    for module in _RESOURCES:
        app.include_router(module.router, prefix=_VERSION)
        # The same without the version, for a first try by hand and for older clients.
        app.include_router(module.router, include_in_schema=False)
    for module in (health, page):
        app.include_router(module.router)
    return app


async def _release_unused(models: Models, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 2)
        models.release_unused(seconds)
