"""`GET /metrics`: figures for Prometheus."""

from fastapi import APIRouter, Request, Response

from app.api.state import ServiceDependency

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def metrics(request: Request, service: ServiceDependency) -> Response:
    """Answer with everything that was counted, as Prometheus reads it.

    On a thread that no recording waits for: it is answered under any load.
    """
    content, content_type = service.metrics.exposition(request.headers.get("accept", ""))
    # A header of its own: Starlette would append a second charset to a media type.
    return Response(content, headers={"Content-Type": content_type})
