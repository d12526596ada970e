"""The service: `create_app` wires it, `python -m app` runs it."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import threadpoolctl
from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.api import parameters, problems
from app.api.admission import TransferTimeout
from app.api.api_keys import ApiKeyStore
from app.api.middleware.api_key import ApiKeyMiddleware
from app.api.middleware.drain import DrainMiddleware, DrainState
from app.api.middleware.origin import OriginMiddleware
from app.api.middleware.rate_limit import RateLimit, RateLimitMiddleware
from app.api.middleware.request_log import RequestLogMiddleware
from app.api.middleware.routing import HeadMiddleware, TrailingSlashMiddleware
from app.api.middleware.security_headers import SecurityHeadersMiddleware
from app.api.middleware.trusted_proxies import TrustedProxyMiddleware
from app.api.openapi import extend_openapi
from app.api.routes import (
    batch,
    classify,
    embed,
    explain,
    genres,
    health,
    huggingface,
    models,
    pages,
    problem_types,
    spectrogram,
    stream,
)
from app.api.state import AppState
from app.checkpoints.store import ModelKey
from app.inference.registry import ModelRegistry
from app.server.limits import CONNECTION_LIMITS, ConnectionLimits
from app.server.memory import trim_memory
from app.server.signals import handle_signals
from app.server.workers import broadcast_reload
from app.settings import Settings
from app.telemetry.prometheus import PrometheusMetrics

if TYPE_CHECKING:
    from app.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

_DESCRIPTION = """
Send a recording, get its label with calibrated probabilities: the emotion in a voice, the sound
of a street, or a task of your own. Errors are `application/problem+json` (RFC 9457).
"""

_FILE_THREADS = 4

_RESOURCES = (
    classify,
    batch,
    explain,
    embed,
    huggingface,
    stream,
    spectrogram,
    genres,
    models,
    health,
    problem_types,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Wire the service. Nothing is loaded before it starts.

    Raises ImportError when tracing is on and the packages that send traces are missing.
    """
    settings = settings or Settings()
    tracing = _make_tracing(settings)
    metrics = PrometheusMetrics(on_stage=None if tracing is None else tracing.stage)
    drain = DrainState()
    keys = None if settings.api_keys_file is None else ApiKeyStore(settings.api_keys_file)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        # The engine and the requests' own threads share the cores; BLAS has none to spare.
        threadpoolctl.threadpool_limits(1, "blas")
        # Starlette reads files on anyio's: more of them would take turns from the event loop.
        anyio.to_thread.current_default_thread_limiter().total_tokens = _FILE_THREADS
        limits = ConnectionLimits(
            settings.max_connections,
            TransferTimeout(settings.client_timeout_seconds, settings.min_bytes_per_second),
            metrics.count_problem,
        )
        reload = asyncio.Event()
        with handle_signals(
            drain=drain.begin,
            drain_seconds=settings.drain_seconds,
            shutdown_seconds=settings.shutdown_timeout_seconds,
            reload=reload.set,
        ):
            app.state.earshot = state = AppState(settings, metrics, drain, keys, broadcast_reload)
            if not settings.genres_dir.is_dir():
                log.warning("the gallery %s does not exist", settings.genres_dir.absolute())
            await state.registry.preload(_preloaded_keys(state.registry, settings))
            # The objects of now stay: to look through them again would stop requests for long.
            gc.collect()
            gc.freeze()
            async with asyncio.TaskGroup() as tasks:
                background = (
                    tasks.create_task(_release_idle(state.registry, settings.model_idle_seconds)),
                    tasks.create_task(_reload_on_event(reload, state)),
                    tasks.create_task(trim_memory()),
                )
                yield {CONNECTION_LIMITS: limits}
                for task in background:
                    task.cancel()
        state.close()
        if tracing is not None:
            tracing.close()

    app = FastAPI(
        title="Earshot",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # its route would have no name in metrics; see `app.api.routes.pages`
        docs_url=None,  # it would load scripts from elsewhere; see `app.api.routes.pages`
        redoc_url=None,
        redirect_slashes=False,  # see `TrailingSlashMiddleware`
        # Clients that are made from the document have methods of these names.
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    routers = [module.router for module in _RESOURCES]
    if settings.metrics:
        routers.append(health.metrics_router)
    if keys is not None:
        routers.append(models.admin_router)
    for router in routers:
        app.include_router(router, dependencies=[Depends(parameters.require_known_query)])
    # Links to pages have what others put behind them, and browsers ask for files as they like.
    app.include_router(pages.router)
    if settings.docs:
        app.include_router(pages.docs_router)
    _add_middleware(app, settings, drain, keys)
    # The outermost: whoever answers, it is seen, and has the headers.
    app.add_middleware(RequestLogMiddleware, metrics=metrics, tracing=tracing)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(TrailingSlashMiddleware)
    if settings.trusted_proxies:
        app.add_middleware(TrustedProxyMiddleware, proxies=settings.trusted_proxies)
    return app


def _add_middleware(
    app: FastAPI, settings: Settings, drain: DrainState, keys: ApiKeyStore | None
) -> None:
    """Wrap `app` in what may refuse a request: the last one added is the outermost."""
    limit = RateLimit(settings.rate_per_minute, settings.rate_burst, settings.max_client_requests)
    has_limits = bool(limit.per_minute or limit.concurrent)
    app.add_middleware(HeadMiddleware)
    extend_openapi(app, has_keys=keys is not None, has_limits=has_limits)
    if has_limits:
        app.add_middleware(RateLimitMiddleware, limit=limit)
    if keys is not None:
        app.add_middleware(ApiKeyMiddleware, keys=keys, metrics_public=settings.metrics_public)
    if settings.cors_origins:
        # Outside of the keys: browsers ask without one whether they may ask.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["ETag", "Retry-After", "X-Request-ID"],
        )
    app.add_middleware(OriginMiddleware, hosts=settings.allowed_hosts, sites=settings.cors_origins)
    app.add_middleware(DrainMiddleware, drain=drain)


def _make_tracing(settings: Settings) -> "Tracing | None":
    if not settings.otlp_endpoint:
        return None
    from app.telemetry.tracing import Tracing  # noqa: PLC0415  # its packages are optional

    return Tracing(settings.otlp_endpoint)


def _preloaded_keys(registry: ModelRegistry, settings: Settings) -> list[ModelKey]:
    """Return the checkpoints that are loaded before anyone asks for them."""
    if settings.preload == "all":
        return list(registry.entries)
    if settings.preload == "default":
        return [registry.resolve(task, None) for task in registry.tasks]
    return []


async def _reload_on_event(event: asyncio.Event, state: AppState) -> None:
    while True:
        await event.wait()
        event.clear()
        try:
            await state.reload()
        except Exception:  # whatever it is, the service goes on with what it has
            log.exception("the store was not reloaded")


async def _release_idle(registry: ModelRegistry, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 2)
        registry.release_idle(seconds)
