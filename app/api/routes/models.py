"""`GET /models`: which checkpoints there are, and how good they are."""

from fastapi import APIRouter

from earshot import schemas
from app.api.state import ServiceDependency
from app.inference.registry import Entry, Key

router = APIRouter(tags=["service"])


@router.get("/models", response_model_exclude_none=True)
async def models(service: ServiceDependency) -> schemas.ModelList:
    """List every checkpoint of the store, with the metrics of its card."""
    return schemas.ModelList(
        models=[_describe(key, entry) for key, entry in service.models.entries.items()]
    )


def _describe(key: Key, entry: Entry) -> schemas.ModelInfo:
    task, window = key
    card = entry.card
    return schemas.ModelInfo(
        task=task,
        window=window,
        status=entry.status,
        version=card and card.version,
        labels=card and list(card.labels),
        clip_seconds=card and card.input.clip_seconds,
        metrics=card and card.metrics,
        error=str(error) if (error := entry.error or entry.refused) else None,
    )
