"""`GET /models` lists the checkpoints of the store, `POST /admin/reload` reloads them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response

from app.api import problems
from app.api.entity_tags import matches_etag
from app.api.problems import ProblemError
from app.api.state import StateDependency
from app.audio.log_mel import LogMelConfig
from app.audio.network_inputs import WaveformConfig
from app.checkpoints import store
from app.checkpoints.card import Card
from app.checkpoints.store import CheckpointError, ModelKey
from app.inference.registry import ModelEntry
from earshot.schemas import ModelInfo, ModelList, ReloadReport

router = APIRouter(tags=["service"])
admin_router = APIRouter(prefix="/admin", tags=["service"])

_STUDENT = "edge"
"""the name of the checkpoint that `earshot export --edge` writes"""
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.get("/models", summary="List checkpoints", response_model_exclude_none=True)
async def models(state: StateDependency) -> ModelList:
    """List every checkpoint of the store, with the metrics of its card."""
    return ModelList(
        models=[
            _describe(key, entry, key == state.registry.resolve(key.task, None))
            for key, entry in state.registry.entries.items()
        ]
    )


@router.get(
    "/models/{task}/{checkpoint}/model.onnx",
    summary="Download a student",
    response_class=Response,
    responses={
        200: {
            "description": "The ONNX file: samples in, probabilities out",
            "content": {"application/octet-stream": _BINARY},
        },
        304: {"description": "The file is the one whose ETag was sent"},
        **problems.checkpoint_responses("invalid-parameter", "draining"),
    },
)
async def student(
    state: StateDependency,
    task: Annotated[str, Path(description="a task of the store, see `GET /models`")],
    checkpoint: Annotated[str, Path(description="one that is `on_device` in `GET /models`")],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Answer with the network of a checkpoint that runs on the client's own device.

    It computes its spectrogram itself, and its metadata has labels, temperatures and thresholds.
    """
    key = state.registry.resolve(task, checkpoint)
    if not _runs_on_device(state.registry.entries[key].card):
        raise problems.invalid_parameter(
            f"{key} is no student: only checkpoints that are on_device in GET /models are given"
        )
    found = await state.run_in_thread(store.load, state.settings.models_dir, key)
    etag = f'"{found.card.files[store.MODEL][:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if if_none_match is not None and matches_etag(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    content = await state.run_in_thread(found.model.read_bytes)
    return Response(content, media_type="application/octet-stream", headers=headers)


@admin_router.post(
    "/reload",
    summary="Reload the store",
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


def _describe(key: ModelKey, entry: ModelEntry, is_default: bool) -> ModelInfo:
    card, error = entry.card, entry.error or entry.refusal
    return ModelInfo(
        task=key.task,
        name=key.name,
        is_default=is_default,
        network=card and card.network,
        window=card.input.window if card and isinstance(card.input, LogMelConfig) else None,
        status=entry.status,
        version=card and card.version,
        labels=card and list(card.labels),
        clip_seconds=card and card.input.clip_seconds,
        on_device=_runs_on_device(card),
        metrics=card and card.metrics,
        error=None if error is None else str(error),
    )


def _runs_on_device(card: Card | None) -> bool:
    """Return whether a checkpoint is a student, whose file holds all that one needs to run it."""
    return card is not None and card.name == _STUDENT and isinstance(card.input, WaveformConfig)


def _refused(detail: str, extensions: dict[str, object]) -> ProblemError:
    return ProblemError("checkpoint-refused", detail, extensions=extensions)
