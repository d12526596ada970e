"""What every request passes through before it comes to a route."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.api.api_keys import Keys
from app.api.middleware.api_key import Access
from app.api.middleware.drain import Drain, Draining
from app.api.middleware.rate_limit import Allowance, Limits
from app.api.openapi import describe
from app.settings import Settings


def guard(app: FastAPI, settings: Settings, keys: Keys | None, drain: Drain) -> None:
    """Put what every request passes through around `app`: what is added last comes first."""
    allowance = Allowance(
        settings.rate_per_minute, settings.rate_burst, settings.max_client_requests
    )
    limits = bool(allowance.per_minute or allowance.at_once)
    describe(app, keys=keys is not None, limits=limits)
    if limits:
        app.add_middleware(Limits, allowance=allowance)
    if keys is not None:
        app.add_middleware(Access, keys=keys, open_metrics=settings.open_metrics)
    if settings.cors_origins:
        # Outside of access: browsers ask whether they may ask without a key.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["ETag", "Retry-After", "X-Request-ID"],
        )
    app.add_middleware(Draining, drain=drain)
