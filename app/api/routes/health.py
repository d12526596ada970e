"""`GET /healthz` and `GET /readyz`: is the process alive, and can it answer?"""

from fastapi import APIRouter

from app import __version__
from app.api import problems
from earshot import schemas
from app.api.middleware.drain import draining
from app.api.state import ServiceDependency

router = APIRouter(tags=["service"])


@router.get("/healthz")
async def healthz() -> schemas.Health:
    """Answer as long as the process lives."""
    return schemas.Health(status="ok", version=__version__)


@router.get("/readyz", responses=problems.responses("not-ready", "draining"))
async def readyz(service: ServiceDependency) -> schemas.Health:
    """Answer 200 while at least one checkpoint can answer and the process shall not end."""
    if service.drain.active:
        raise draining("no more requests shall be sent here")
    if all(entry.status == "failed" for entry in service.models.entries.values()):
        raise problems.ProblemError(
            "not-ready",
            f"the store {service.settings.models_dir.name} holds no checkpoint that can be loaded; "
            "GET /models tells why",
        )
    return schemas.Health(status="ok", version=__version__)
