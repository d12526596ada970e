"""`POST /admin/reload`: take over what the store holds now."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api import problems
from app.api.problems import ProblemError
from app.api.state import ServiceDependency
from app.checkpoints.store import CheckpointError
from app.inference.registry import Key
from app.server.workers import tell_the_others

router = APIRouter(prefix="/admin", tags=["service"])


class Reload(BaseModel):
    """What became of each checkpoint, `task/window`, that was not as before."""

    replaced: list[str]
    added: list[str]
    removed: list[str]
    refused: dict[str, str] = Field(description="why each of them was; the old one goes on")


@router.post(
    "/reload", responses=problems.responses("forbidden", "not-found", "checkpoint-refused")
)
async def reload(service: ServiceDependency) -> Reload:
    """Load what is new in the store; where there are several processes, in the others too."""
    try:
        found = await service.reload()
    except CheckpointError as error:
        raise _refused(str(error), {}) from error
    tell_the_others()
    answer = Reload(
        replaced=[_name(key) for key in found.replaced],
        added=[_name(key) for key in found.added],
        removed=[_name(key) for key in found.removed],
        refused={_name(key): str(error) for key, error in found.refused.items()},
    )
    if answer.refused:
        raise _refused("; ".join(answer.refused.values()), answer.model_dump())
    return answer


def _name(key: Key) -> str:
    return "/".join(key)


def _refused(detail: str, members: dict[str, object]) -> ProblemError:
    return ProblemError(
        "checkpoint-refused",
        detail,
        members=members,
    )
