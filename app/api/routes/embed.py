"""`POST /embed/{task}`: the embedding of one recording."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray

from app.api import parameters, problems
from app.api.rendering import to_rounded_lists
from app.api.state import StateDependency
from app.api.uploads import RECORDING_BODY, accept_upload
from app.checkpoints.card import Card
from app.inference.classifier import RecordingEmbedding
from earshot.schemas import CheckpointRef, ClipEmbedding, Embeddings

router = APIRouter(tags=["classify"])

# Of values about 1, or about 0.02 where they are normalised.
_DECIMALS = 6
_OK: dict[str, Any] = {"description": "The embedding of the recording", "model": Embeddings}


@router.post(
    "/embed/{task}",
    summary="Embed a recording",
    response_class=Response,
    openapi_extra={"requestBody": RECORDING_BODY},
    responses={200: _OK, **problems.checkpoint_responses(*problems.FILE_PROBLEMS, "silent")},
)
async def embed(
    request: Request,
    state: StateDependency,
    key: parameters.ChosenCheckpoint,
    hop_seconds: parameters.HopSeconds = None,
    clips: Annotated[
        bool, Query(description="whether the clips' embeddings are given beside their mean")
    ] = True,
    normalise: Annotated[
        bool, Query(description="whether each embedding is brought to the Euclidean length 1")
    ] = False,
) -> Response:
    """Embed a recording: the features that the network's last layer reads, as numbers.

    Send one recording, as to `/classify`. Recordings that sound alike have embeddings that point
    in about the same direction (cosine similarity), whatever their labels are: to search, to
    cluster, or to train a classifier of your own on.
    """
    async with accept_upload(request, state) as upload:
        classifier = await state.registry.get(key)
        # Before the upload: meanwhile the store may come to hold another checkpoint.
        embedder = await state.run_in_thread(state.embedders.get, classifier.card)
        data = await upload.read_recording()
        async with upload.deadline():
            embedded = await classifier.embed_recording(data, embedder, hop_seconds)
            content = await state.run_in_thread(
                _describe, classifier.card, embedded, with_clips=clips, normalise=normalise
            )
    return Response(content, media_type="application/json")


def _describe(
    card: Card, embedded: RecordingEmbedding, *, with_clips: bool, normalise: bool
) -> str:
    seconds = embedded.audio.seconds
    scaled = _normalise if normalise else np.asarray
    vectors = to_rounded_lists(scaled(embedded.clips), _DECIMALS) if with_clips else []
    return Embeddings(
        task=card.task,
        dimension=embedded.clips.shape[1],
        normalised=normalise,
        embedding=to_rounded_lists(scaled(embedded.mean), _DECIMALS),
        clips=[
            ClipEmbedding(
                start=round(float(start), 3),
                end=round(min(float(start) + card.input.clip_seconds, seconds), 3),
                silent=bool(silent),
                embedding=vector,
            )
            for start, silent, vector in zip(
                embedded.starts, embedded.silent, vectors, strict=False
            )
        ],
        audio=embedded.audio,
        checkpoint=CheckpointRef(task=card.task, name=card.name, version=card.version),
        warnings=list(embedded.warnings),
    ).model_dump_json(exclude_defaults=True)


def _normalise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return scaled
