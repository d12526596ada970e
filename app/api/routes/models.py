"""`GET /models` lists the checkpoints of the store, `POST /admin/reload` reloads them."""

from fastapi import APIRouter

from app.api import problems
from app.api.problems import ProblemError
from app.api.state import StateDependency
from app.checkpoints.store import CheckpointError, ModelKey
from app.inference.registry import ModelEntry
from earshot.schemas import ModelInfo, ModelList, ReloadReport

router = APIRouter(tags=["service"])
admin_router = APIRouter(prefix="/admin", tags=["service"])


@router.get("/models", response_model_exclude_none=True)
async def models(state: StateDependency) -> ModelList:
    """List every checkpoint of the store, with the metrics of its card."""
    return ModelList(
        models=[_describe(key, entry) for key, entry in state.registry.entries.items()]
    )


@admin_router.post(
    "/reload",
    responses=problems.openapi_responses("forbidden", "not-found", "checkpoint-refused"),
)
async def reload(state: StateDependency) -> ReloadReport:
    """Load the changes of the store; where there are several processes, in the others too."""
    try:
        result = await state.reload()
    except CheckpointError as error:
        raise _refused(str(error), {}) from error
    state.broadcast_reload()
    report = ReloadReport(
        replaced=[str(key) for key in result.replaced],
        added=[str(key) for key in result.added],
        removed=[str(key) for key in result.removed],
        refused={str(key): str(error) for key, error in result.refused.items()},
    )
    if report.refused:
        raise _refused("; ".join(report.refused.values()), report.model_dump())
    return report


def _describe(key: ModelKey, entry: ModelEntry) -> ModelInfo:
    card, error = entry.card, entry.error or entry.refusal
    return ModelInfo(
        task=key.task,
        name=key.name,
        network=card and card.network,
        window=card and card.input.window,
        status=entry.status,
        version=card and card.version,
        labels=card and list(card.labels),
        clip_seconds=card and card.input.clip_seconds,
        metrics=card and card.metrics,
        error=None if error is None else str(error),
    )


def _refused(detail: str, extensions: dict[str, object]) -> ProblemError:
    return ProblemError("checkpoint-refused", detail, extensions=extensions)
