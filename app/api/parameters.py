"""The parameters that several routes take, and the checkpoint that they choose."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Annotated

from fastapi import Depends, Path, Query
from fastapi.dependencies.models import Dependant
from pydantic.fields import FieldInfo
from starlette.requests import HTTPConnection

from app.api.problems import ProblemError, invalid_parameter
from app.api.state import AppState
from app.checkpoints.store import ModelKey

_COMPARED_LENGTH = 50

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


async def require_known_query(connection: HTTPConnection) -> None:
    """Raise ProblemError where a query has a parameter that its route has not, or one twice."""
    known = query_names(connection)
    for name, count in Counter(name for name, _ in connection.query_params.multi_items()).items():
        if name not in known:
            raise unknown_name("query parameter", name, known)
        if count > 1:
            raise invalid_parameter(
                f"the query parameter {name} is given {count} times; give it once"
            )


def query_names(connection: HTTPConnection) -> Collection[str]:
    """Return the names of the query parameters of the route that a request was routed to."""
    parameters = query_parameters(connection.scope["route"].dependant)
    return tuple(name for name, _ in parameters)


def require_no_options(connection: HTTPConnection, fields: Iterable[str]) -> None:
    """Raise ProblemError where a field of a form is meant as a query parameter of its route."""
    for field in fields:
        if near := _find_near(field, query_names(connection), cutoff=0.8):
            raise invalid_parameter(
                f"the form has the field {field!r}; options stand in the address, as ?{near}=..."
            )


def unknown_name(kind: str, name: str, known: Collection[str]) -> ProblemError:
    """Make the problem of a name that nothing has; it names the nearest of those that are known."""
    near = _find_near(name, known)
    hint = f"did you mean {near}?" if near else f"accepted: {', '.join(known) or 'none'}"
    return invalid_parameter(f"unknown {kind} {name[:100]!r}; {hint}")


def _find_near(name: str, known: Collection[str], cutoff: float = 0.6) -> str | None:
    # To compare what is long takes long.
    name = name[:_COMPARED_LENGTH].lower().replace("-", "_")
    begun = [each for each in known if name and each.startswith(name)]
    return next(iter(begun or get_close_matches(name, known, 1, cutoff)), None)


def query_parameters(dependant: Dependant) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the query parameters of a route, by name, and those of what it depends on."""
    yield from ((field.alias, field.field_info) for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from query_parameters(dependency)


async def choose_checkpoint(
    connection: HTTPConnection,
    task: Annotated[str, Path(description="a task of the store, see `GET /models`")],
    checkpoint: Annotated[
        str | None,
        Query(description="the checkpoint that answers (default: as `GET /models` says)"),
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
