"""The service: `create_app` wires it, `python -m app` runs it."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import threadpoolctl
from fastapi import FastAPI

from app import __version__
from app.api import problems
from app.api.api_keys import Keys
from app.api.guard import guard
from app.api.middleware.drain import Drain
from app.api.middleware.request_log import Monitor
from app.api.middleware.security_headers import SecurityHeaders
from app.api.routes import (
    admin,
    batch,
    classify,
    docs,
    explain,
    genres,
    health,
    huggingface,
    metrics,
    page,
    spectrogram,
    stream,
)
from app.api.routes import models as models_api
from app.api.state import Service
from app.decoding.pool import DecoderPool
from app.inference.class_activation import Explainers
from app.inference.decoding import Decoding
from app.inference.registry import Models
from app.loading import is_preloaded, loading
from app.music.library import GenreLibrary
from app.server import signals
from app.server.connections import STATE, Connections
from app.settings import Settings
from app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from app.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

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
    """Wire the service. Nothing is loaded before it starts.

    Raises ImportError when traces are wanted and the packages that send them are missing.
    """
    settings = settings or Settings()
    tracing = _tracing(settings)
    figures = Metrics(on_stage=None if tracing is None else tracing.stage)
    drain = Drain()
    keys = None if settings.api_keys_file is None else Keys(settings.api_keys_file)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        # The engine and the requests' own threads share the cores; BLAS has none to spare.
        threadpoolctl.threadpool_limits(1, "blas")
        models = Models(settings.models_dir, loading(settings, figures))
        decoders = DecoderPool(
            settings.decoders,
            seconds=settings.decode_seconds,
            memory_bytes=settings.decoder_bytes + settings.max_upload_bytes,
        )
        app.state.service = service = Service(
            settings=settings,
            models=models,
            explainers=Explainers(settings.models_dir),
            genres=GenreLibrary(settings.genres_dir),
            threads=anyio.CapacityLimiter(settings.threads),
            decoding=Decoding(decoders, settings.decoders),
            metrics=figures,
            drain=drain,
            keys=keys,
        )
        connections = Connections(
            settings.max_connections, settings.client_seconds, figures.refused
        )
        reload = asyncio.Event()
        with signals.handled(
            drain=drain.begin, drain_seconds=settings.drain_seconds, reload=reload.set
        ):
            await models.preload(key for key in models.entries if is_preloaded(key, settings))
            # What is here by now stays: to look through it again would stop requests for long.
            gc.collect()
            gc.freeze()
            async with asyncio.TaskGroup() as tasks:
                forever = (
                    tasks.create_task(_release_unused(models, settings.release_seconds)),
                    tasks.create_task(_reload_whenever(reload, service)),
                )
                yield {STATE: connections}
                for task in forever:
                    task.cancel()
        decoders.close()
        if tracing is not None:
            tracing.close()

    app = FastAPI(
        title="Earshot",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # its route would have no name in figures; see `app.api.routes.docs`
        docs_url=None,  # it would load scripts from elsewhere; see `app.api.routes.docs`
        redoc_url=None,
    )
    problems.install(app)
    guard(app, settings, keys, drain)
    for module in _RESOURCES:
        app.include_router(module.router, prefix=_VERSION)
        # The same without the version, for a first try by hand and for older clients.
        app.include_router(module.router, include_in_schema=False)
    for module in (health, page):
        app.include_router(module.router)
    if settings.metrics:
        app.include_router(metrics.router)
    if settings.docs:
        app.include_router(docs.router)
    if keys is not None:
        app.include_router(admin.router)
    # What is added last comes first: whoever answers, it is seen, and has the headers.
    app.add_middleware(Monitor, metrics=figures, tracing=tracing)
    app.add_middleware(SecurityHeaders)
    return app


def _tracing(settings: Settings) -> "Tracing | None":
    if not settings.otlp_endpoint:
        return None
    from app.telemetry.tracing import Tracing  # noqa: PLC0415  # its packages are an extra

    return Tracing(settings.otlp_endpoint)


async def _reload_whenever(asked: asyncio.Event, service: Service) -> None:
    while True:
        await asked.wait()
        asked.clear()
        try:
            await service.reload()
        except Exception:  # whatever it is, the service goes on with what it has
            log.exception("the store was not reloaded")


async def _release_unused(models: Models, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 2)
        models.release_unused(seconds)
