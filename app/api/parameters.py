"""The parameters that several routes take, and the checkpoint that they choose."""

from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import HTTPConnection

from app.api.problems import invalid_parameter
from app.api.state import AppState
from app.checkpoints.store import ModelKey

TopK = Annotated[int, Query(ge=1, le=100, description="labels in `ranked`")]
HopSeconds = Annotated[
    float | None,
    Query(
        ge=0.25,
        le=60,
        description="between the clips that a long recording is cut into, at most their length "
        "(default: half of it)",
    ),
]
MinSegmentSeconds = Annotated[
    float, Query(ge=0, le=3600, description="of the shortest segment of a long recording")
]


async def choose_checkpoint(
    connection: HTTPConnection,
    task: Annotated[str, Path(description="a task of the store, see `GET /models`")],
    checkpoint: Annotated[
        str | None,
        Query(description="the checkpoint that answers (default: `hann`, or the task's first)"),
    ] = None,
    window: Annotated[
        str | None,
        Query(description="the same for checkpoints that are named by their analysis window"),
    ] = None,
) -> ModelKey:
    """Return the key of the checkpoint that a request chooses.

    Raises:
        ProblemError: both parameters are given.
        UnknownTaskError, UnknownCheckpointError: see `ModelRegistry.resolve`.
    """
    if checkpoint is not None and window is not None:
        raise invalid_parameter("give one of checkpoint and window, got both")
    state: AppState = connection.app.state.earshot
    return state.registry.resolve(task, checkpoint or window)


ChosenCheckpoint = Annotated[ModelKey, Depends(choose_checkpoint)]
