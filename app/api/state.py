"""The state that the handlers share, made once when the service starts."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from app.api.admission import AdmissionController, MemoryBudget, TransferTimeout
from app.api.api_keys import ApiKeyStore
from app.api.deadline import answer_deadline
from app.api.middleware.drain import DrainState
from app.api.worker_threads import WorkerThreads
from app.decoding import sandbox
from app.decoding.pool import DecoderPool
from app.decoding.recording import MonoStream, RecordingReader
from app.inference.batcher import Batcher
from app.inference.compiled_cache import CompiledCache
from app.inference.evidence import EvidenceMapper
from app.inference.explanation import make_mapper
from app.inference.registry import ModelRegistry, ReloadResult
from app.music.library import GenreLibrary, Track
from app.rendering.spectrogram import SAMPLE_RATE
from app.settings import Settings
from app.telemetry.prometheus import PrometheusMetrics

log = logging.getLogger(__name__)

# Where slots or memory are short: of the time that a client may otherwise pause, and times the
# rate that it must otherwise reach. Live sound cannot come faster than it is made.
_SHORT_UPLOAD, _SHORT_UPLOAD_RATE, _SHORT_LIVE = 0.05, 16, 0.25
# Of live sound, seconds that must come in a second: less than one, for clocks differ.
_LIVE_RATE = 0.5

P = ParamSpec("P")
T = TypeVar("T")

# Of the requests that are worked on at the same time, so many more than pictures.
_REQUESTS_PER_PICTURE = 4


@dataclass
class AppState:
    """Settings, models, worker threads, and the admission of requests."""

    settings: Settings
    metrics: PrometheusMetrics
    drain: DrainState
    api_keys: ApiKeyStore | None
    broadcast_reload: Callable[[], None]
    """has the other worker processes reload, where there are any"""
    threads: WorkerThreads = field(init=False)
    decoder_pool: DecoderPool = field(init=False)
    registry: ModelRegistry = field(init=False)
    render_reader: RecordingReader = field(init=False)
    """opens the recordings that are drawn or explained"""
    evidence_mappers: CompiledCache[EvidenceMapper] = field(init=False)
    embedders: CompiledCache[Batcher] = field(init=False)
    """compute embeddings in place of outputs"""
    genres: GenreLibrary = field(init=False)
    admission: AdmissionController = field(init=False)
    live_admission: AdmissionController = field(init=False)
    """of live sound, whose slots are none of the requests'"""
    picture_admission: AdmissionController = field(init=False)
    """of requests that have something drawn or measured; they take no slots from the others"""
    _picture_threads: WorkerThreads = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.threads = WorkerThreads(settings.threads, "worker")
        self.decoder_pool = DecoderPool(
            settings.decoder_processes,
            timeout_seconds=settings.decode_timeout_seconds,
            memory_bytes=settings.decoder_memory_bytes + settings.max_upload_bytes,
        )
        if not sandbox.is_available():
            log.warning("decoders keep all system calls: there is no libseccomp (libseccomp2)")
        self.registry = ModelRegistry(
            settings.models_dir,
            settings.engine_config,
            reader=RecordingReader(settings.audio_limits, self.decoder_pool),
            run_in_thread=self.threads.run,
            instrumentation=self.metrics,
            defaults=settings.default_checkpoint,
        )
        self.render_reader = RecordingReader(settings.render_limits, self.decoder_pool)
        self.evidence_mappers = CompiledCache(settings.models_dir, make_mapper)
        self.embedders = CompiledCache(settings.models_dir, self.registry.make_embedder)
        self.genres = GenreLibrary(settings.genres_dir, settings.max_upload_bytes)
        seconds, rate = settings.client_timeout_seconds, settings.min_bytes_per_second
        budget = MemoryBudget(settings.upload_memory_bytes, settings.memory_bytes)
        upload = (
            TransferTimeout(seconds, rate),
            TransferTimeout(_SHORT_UPLOAD * seconds, _SHORT_UPLOAD_RATE * rate),
            budget,
        )
        self.admission = AdmissionController(settings.max_requests, *upload)
        self.picture_admission = AdmissionController(
            max(1, settings.max_requests // _REQUESTS_PER_PICTURE), *upload
        )
        self.live_admission = AdmissionController(
            settings.max_live_streams,
            TransferTimeout(seconds, _LIVE_RATE, "s of sound"),
            TransferTimeout(_SHORT_LIVE * seconds, _LIVE_RATE, "s of sound"),
            budget,
        )
        # matplotlib draws one figure at a time.
        self._picture_threads = WorkerThreads(1, "pictures")

    async def run_in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on a worker thread, so that the event loop stays free."""
        return await self.threads.run(work, *args, **kwargs)

    @asynccontextmanager
    async def admit_picture(self, request: Request) -> AsyncIterator[None]:
        """Hold a slot of those for pictures while one of the gallery is made.

        Raises ProblemError (503) when none is free; and see `answer_deadline`.
        """
        with self.picture_admission.acquire():
            async with answer_deadline(request, self.settings.request_timeout_seconds):
                yield

    @asynccontextmanager
    async def open_track(self, track: Track) -> AsyncIterator[MonoStream]:
        """Open a recording of the gallery, to be read on the thread of pictures.

        It is decoded as uploads are, and has their limits: whoever put it there may have been
        careless with where it came from.

        Raises TrackError when it cannot be read.
        """
        data = await self.draw_in_thread(self.genres.read, track)
        async with self.render_reader.open(data, sample_rate=SAMPLE_RATE) as stream:
            yield stream

    async def draw_in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work`, which draws, on the thread of pictures; recordings never wait for it."""
        return await self._picture_threads.run(work, *args, **kwargs)

    async def reload(self) -> ReloadResult:
        """Take over the present store and file of keys; see `ModelRegistry.reload`."""
        if self.api_keys is not None:
            self.api_keys.reload()
        result = await self.registry.reload()
        for key in (*result.replaced, *result.removed):
            self.evidence_mappers.forget(key)
            self.embedders.forget(key)
        return result

    def close(self) -> None:
        """End the threads and the decoder processes."""
        self.threads.close()
        self._picture_threads.close()
        self.decoder_pool.close()


async def _app_state(request: Request) -> AppState:  # a plain function would be given a thread
    state: AppState = request.app.state.earshot
    return state


StateDependency = Annotated[AppState, Depends(_app_state)]
