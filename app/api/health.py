"""`GET /healthz` and `GET /readyz`: is the process alive, and can it answer?"""

from http import HTTPStatus

from fastapi import APIRouter

from app import __version__
from app.api import problems, schemas
from app.api.state import ServiceDependency

router = APIRouter(tags=["service"])


@router.get("/healthz")
async def healthz() -> schemas.Health:
    """Answer as long as the process lives."""
    return schemas.Health(status="ok", version=__version__)


@router.get("/readyz", responses=problems.responses(HTTPStatus.SERVICE_UNAVAILABLE))
async def readyz(service: ServiceDependency) -> schemas.Health:
    """Answer 200 while at least one checkpoint can answer."""
    if all(entry.status == "failed" for entry in service.models.entries.values()):
        raise problems.ProblemError(
            "not-ready",
            "No checkpoint is loaded",
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"the store {service.settings.models_dir.name} holds no checkpoint that can be loaded; "
            "GET /models tells why",
        )
    return schemas.Health(status="ok", version=__version__)
