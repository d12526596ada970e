"""`/stream/{task}`: what is heard in live sound, over a WebSocket."""

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, WebSocket, WebSocketException
from pydantic import BaseModel, Field
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.api import parameters
from app.api.middleware.api_key import STREAM_PROTOCOL
from app.api.problems import ProblemError, reason_of, refusal_of
from app.api.state import Service
from app.audio.log_mel import log_mel
from app.audio.clips import is_silent
from earshot.schemas import REASON_DESCRIPTION, Probability, RankedLabel, Seconds
from app.inference.classifier import Classifier
from app.inference.instrumentation import observed
from earshot.schemas import Reason
from app.inference.outputs import probabilities, unlabelled
from app.inference.recognition import verdict
from app.inference.streaming import LiveClips

router = APIRouter()

# RFC 6455, section 7.4.1, and the registry it names.
_WRONG_KIND, _INCONSISTENT, _POLICY, _INTERNAL, _TRY_LATER = 1003, 1007, 1008, 1011, 1013


class Heard(BaseModel):
    """What is in the last seconds."""

    start: Seconds
    end: Seconds
    label: str | None
    reason: Reason | None = Field(default=None, description=REASON_DESCRIPTION)
    probability: Probability = Field(description="of `label`, 0 where there is none")
    ranked: list[RankedLabel] = Field(description="most probable first; nothing for silence")


@router.websocket("/stream/{task}")
async def stream(
    socket: WebSocket,
    task: parameters.Task,
    rate: Annotated[int, Query(ge=4_000, le=192_000, description="of the PCM, Hz")],
    window: parameters.Window = "hann",
    top_k: parameters.TopK = 3,
    hop: Annotated[float, Query(ge=0.25, le=60, description="seconds between answers")] = 1.0,
) -> None:
    """Answer each `hop` seconds of sound, sent as 16-bit little-endian PCM of one channel.

    No more sound is read than is answered: a client that sends faster has to wait.
    """
    service: Service = socket.app.state.service
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(STREAM_PROTOCOL if STREAM_PROTOCOL in offered else None)
    try:
        with service.admitted():
            classifier = await service.models.get(task, window)
            live = LiveClips(classifier.card.input, sample_rate=rate, hop_seconds=hop)
            while True:
                pcm = await _receive(socket, service.settings.client_seconds)
                for heard in await _hear(pcm, live, classifier, service, top_k):
                    await socket.send_text(heard.model_dump_json())
                    service.metrics.answered(task, window, heard.label, hop)
    except WebSocketDisconnect:
        return
    except WebSocketException as error:
        await socket.close(error.code, error.reason)
    except Exception as error:
        refusal = refusal_of(error)
        socket.state.problem = reason_of(refusal.problem)
        await _close(socket, refusal)
        if refusal.problem.status == 500:
            raise


async def _receive(socket: WebSocket, patience: float) -> bytes:
    try:
        async with asyncio.timeout(patience):
            message = await socket.receive()
    except TimeoutError:
        raise WebSocketException(_POLICY, f"no sound was sent for {patience:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    pcm: bytes | None = message.get("bytes")
    if pcm is None:
        raise WebSocketException(_WRONG_KIND, "send binary messages of 16-bit PCM, not text")
    if len(pcm) % 2:
        raise WebSocketException(
            _INCONSISTENT, f"a message of {len(pcm)} bytes ends in the middle of a 16-bit sample"
        )
    return pcm


async def _hear(
    pcm: bytes, live: LiveClips, classifier: Classifier, service: Service, top_k: int
) -> list[Heard]:
    config = classifier.card.input
    found = []
    for end, clip in await service.compute(live.feed, pcm):
        spectrogram = await service.compute(
            observed, service.metrics, "features", log_mel, clip, config
        )
        outputs = await classifier.infer(spectrogram[None, None])
        silent = np.array([is_silent(clip.min(), clip.max())])
        [reason] = unlabelled(outputs, silent, classifier.card)
        [of_labels] = probabilities(outputs, classifier.card)
        said = verdict(of_labels, reason, classifier.card, top_k)
        found.append(
            Heard(
                start=max(0.0, round(end - config.clip_seconds, 3)),
                end=round(end, 3),
                label=said.label,
                reason=reason,
                probability=said.probability,
                ranked=said.ranked,
            )
        )
    return found


async def _close(socket: WebSocket, refusal: ProblemError) -> None:
    if socket.application_state is not WebSocketState.CONNECTED:
        return
    code = {500: _INTERNAL, 503: _TRY_LATER}.get(refusal.problem.status, _POLICY)
    # A reason has at most 123 bytes.
    await socket.close(code, refusal.problem.detail.encode()[:120].decode("utf-8", "ignore"))
