"""`GET /healthz`, `GET /readyz` and `GET /metrics`: for those who watch the process."""

from fastapi import APIRouter, Request, Response

from app import __version__
from app.api import problems
from app.api.middleware.drain import draining
from app.api.state import StateDependency
from earshot.schemas import Health

router = APIRouter(tags=["service"])
metrics_router = APIRouter(include_in_schema=False)


@router.get("/healthz", summary="Is it alive?")
async def health() -> Health:
    """Answer as long as the process lives."""
    return Health(status="ok", version=__version__)


@router.get(
    "/readyz",
    summary="Can it answer?",
    responses=problems.openapi_responses("not-ready", "draining"),
)
async def ready(state: StateDependency) -> Health:
    """Answer 200 while at least one checkpoint can answer and the process does not drain."""
    if state.drain.active:
        raise draining("the process takes no more requests")
    if (reason := state.registry.why_not_ready) is not None:
        raise problems.ProblemError("not-ready", reason)
    return Health(status="ok", version=__version__)


@metrics_router.get("/metrics")
def metrics(request: Request, state: StateDependency) -> Response:
    """Answer with all metrics, as Prometheus reads them.

    On a thread that no recording waits for: it is answered under any load.
    """
    content, content_type = state.metrics.exposition(request.headers.get("accept", ""))
    # A header of its own: Starlette would append a second charset to a media type.
    return Response(content, headers={"Content-Type": content_type})
