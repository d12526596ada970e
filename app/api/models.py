"""`GET /models`: which checkpoints are loaded, and how good they are."""

from fastapi import APIRouter

from app.api import schemas
from app.api.state import ServiceDependency

router = APIRouter(tags=["service"])


@router.get("/models", response_model_exclude_none=True)
async def models(service: ServiceDependency) -> schemas.ModelList:
    """List every checkpoint of the store, with the metrics of its card."""
    loaded = [
        schemas.LoadedModel(
            task=task,
            window=window,
            status="loaded",
            version=classifier.card.version,
            labels=list(classifier.card.labels),
            clip_seconds=classifier.card.front_end.clip_seconds,
            metrics=classifier.card.metrics,
        )
        for (task, window), classifier in service.models.loaded.items()
    ]
    failed = [
        schemas.LoadedModel(task=task, window=window, status="failed", error=str(error))
        for (task, window), error in service.models.failed.items()
    ]
    return schemas.ModelList(models=loaded + failed)
