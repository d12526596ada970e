"""`/stream/{task}`: classify live sound over a WebSocket."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketException
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.api import parameters
from app.api.middleware.api_key import STREAM_PROTOCOL
from app.api.problems import ProblemError, problem_code, to_problem_error
from app.api.state import AppState
from app.inference.streaming import StreamClassifier

router = APIRouter()

# RFC 6455, section 7.4.1, and the registry it names.
_UNSUPPORTED_DATA, _INVALID_DATA, _POLICY, _INTERNAL, _TRY_LATER = 1003, 1007, 1008, 1011, 1013


@router.websocket("/stream/{task}")
async def stream(
    socket: WebSocket,
    task: str,
    sample_rate: Annotated[int, Query(ge=4_000, le=192_000, description="of the PCM, Hz")],
    checkpoint: str | None = None,
    window: str | None = None,
    top_k: parameters.TopK = 3,
    hop_seconds: Annotated[float, Query(ge=0.25, le=60, description="between predictions")] = 1.0,
) -> None:
    """Send a prediction for each hop of sound, received as 16-bit little-endian PCM, mono.

    No more sound is read than is classified: a client that sends faster has to wait.
    """
    state: AppState = socket.app.state.earshot
    offered = socket.scope.get("subprotocols", ())
    await socket.accept(STREAM_PROTOCOL if STREAM_PROTOCOL in offered else None)
    try:
        with state.admission.acquire():
            key = await parameters.choose_checkpoint(socket, task, checkpoint, window)
            classifier = StreamClassifier(
                await state.registry.get(key),
                sample_rate=sample_rate,
                hop_seconds=hop_seconds,
                top_k=top_k,
                run_in_thread=state.run_in_thread,
                instrumentation=state.metrics,
            )
            while True:
                pcm = await _receive(socket, state.settings.client_timeout_seconds)
                for prediction in await classifier.classify_chunk(pcm):
                    await socket.send_text(prediction.model_dump_json())
                    state.metrics.count_prediction(*key, prediction.label, hop_seconds)
    except WebSocketDisconnect:
        return
    except WebSocketException as error:
        await socket.close(error.code, error.reason)
    except Exception as error:
        found = to_problem_error(error)
        socket.state.problem = problem_code(found.problem)
        await _close(socket, found)
        if found.problem.status == 500:
            raise


async def _receive(socket: WebSocket, timeout_seconds: float) -> bytes:
    try:
        async with asyncio.timeout(timeout_seconds):
            message = await socket.receive()
    except TimeoutError:
        raise WebSocketException(_POLICY, f"no sound was sent for {timeout_seconds:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    pcm: bytes | None = message.get("bytes")
    if pcm is None:
        raise WebSocketException(_UNSUPPORTED_DATA, "send binary messages of 16-bit PCM, not text")
    if len(pcm) % 2:
        raise WebSocketException(
            _INVALID_DATA, f"a message of {len(pcm)} bytes ends in the middle of a 16-bit sample"
        )
    return pcm


async def _close(socket: WebSocket, error: ProblemError) -> None:
    if socket.application_state is not WebSocketState.CONNECTED:
        return
    code = {500: _INTERNAL, 503: _TRY_LATER}.get(error.problem.status, _POLICY)
    # A reason has at most 123 bytes.
    await socket.close(code, error.problem.detail.encode()[:120].decode("utf-8", "ignore"))
