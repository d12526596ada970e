"""The service: `create_app` wires it, `python -m app` runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI

from app import __version__
from app.api import classify, genres, health, models, page, problems, spectrogram
from app.api.state import Service
from app.genres import GenreLibrary
from app.inference.models import load_models
from app.settings import Settings

_DESCRIPTION = """
What is in this clip? Send a recording, get the emotion in a voice or the sound of a street,
with calibrated probabilities. Errors are `application/problem+json` (RFC 9457).
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Wire the service. Nothing is loaded before it starts."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = Service(
            settings=settings,
            models=await anyio.to_thread.run_sync(load_models, settings.models_dir),
            genres=GenreLibrary(settings.genres_dir),
            threads=anyio.CapacityLimiter(settings.threads),
        )
        yield

    app = FastAPI(title="Earshot", version=__version__, description=_DESCRIPTION, lifespan=lifespan)
    problems.install(app)
    for module in (page, classify, spectrogram, genres, models, health):
        app.include_router(module.router)
    return app
