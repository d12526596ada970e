"""The state that the handlers share, made once when the service starts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

import anyio
from fastapi import Depends, Request

from app.api.admission import AdmissionController, MemoryBudget, UploadTimeout
from app.api.api_keys import ApiKeyStore
from app.api.middleware.drain import DrainState
from app.decoding.pool import DecoderPool
from app.decoding.recording import RecordingReader
from app.inference.class_activation import CamCache
from app.inference.registry import ModelRegistry, ReloadResult
from app.music.library import GenreLibrary
from app.settings import Settings
from app.telemetry.prometheus import PrometheusMetrics

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class AppState:
    """Settings, models, worker threads, and the admission of requests."""

    settings: Settings
    metrics: PrometheusMetrics
    drain: DrainState
    api_keys: ApiKeyStore | None
    broadcast_reload: Callable[[], None]
    """has the other worker processes reload, where there are any"""
    threads: anyio.CapacityLimiter = field(init=False)
    decoder_pool: DecoderPool = field(init=False)
    registry: ModelRegistry = field(init=False)
    render_reader: RecordingReader = field(init=False)
    """opens the recordings that are drawn or explained"""
    cam_cache: CamCache = field(init=False)
    genres: GenreLibrary = field(init=False)
    admission: AdmissionController = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.threads = anyio.CapacityLimiter(settings.threads)
        self.decoder_pool = DecoderPool(
            settings.decoder_processes,
            timeout_seconds=settings.decode_timeout_seconds,
            memory_bytes=settings.decoder_memory_bytes + settings.max_upload_bytes,
        )
        self.registry = ModelRegistry(
            settings.models_dir,
            settings.engine_config,
            reader=RecordingReader(settings.audio_limits, self.decoder_pool),
            run_in_thread=partial(anyio.to_thread.run_sync, limiter=self.threads),
            instrumentation=self.metrics,
        )
        self.render_reader = RecordingReader(settings.render_limits, self.decoder_pool)
        self.cam_cache = CamCache(settings.models_dir)
        self.genres = GenreLibrary(settings.genres_dir)
        self.admission = AdmissionController(
            settings.max_requests,
            UploadTimeout(settings.client_timeout_seconds, settings.min_upload_bytes_per_second),
            MemoryBudget(settings.upload_memory_bytes),
        )

    async def run_in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on a worker thread, so that the event loop stays free."""
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self.threads)

    async def reload(self) -> ReloadResult:
        """Take over the present store and file of keys; see `ModelRegistry.reload`."""
        if self.api_keys is not None:
            self.api_keys.reload()
        result = await self.registry.reload()
        for key in (*result.replaced, *result.removed):
            self.cam_cache.forget(key)
        return result

    def close(self) -> None:
        """End the decoder processes."""
        self.decoder_pool.close()


async def _app_state(request: Request) -> AppState:  # a plain function would be given a thread
    state: AppState = request.app.state.earshot
    return state


StateDependency = Annotated[AppState, Depends(_app_state)]
