"""`/stream/{task}`: classify live sound over a WebSocket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, NoReturn

from fastapi import APIRouter, Depends, Query, WebSocket, WebSocketException
from starlette.websockets import WebSocketDisconnect, WebSocketState
from websockets.frames import CloseCode

from app.api import parameters
from app.api.admission import AdmissionSlot
from app.api.middleware.api_key import STREAM_PROTOCOL
from app.api.problems import ProblemError, deadline_exceeded, problem_code, to_problem_error
from app.api.state import AppState, StateDependency
from app.inference.streaming import SAMPLE_BYTES, StreamClassifier

router = APIRouter()

CLOSE_CODES: dict[CloseCode, str] = {
    CloseCode.UNSUPPORTED_DATA: "a message is text",
    CloseCode.INVALID_DATA: "a message ends in the middle of a sample",
    CloseCode.POLICY_VIOLATION: "sound comes too slowly, frames hold next to nothing, or the key "
    "was revoked",
    CloseCode.MESSAGE_TOO_BIG: "a message holds more than a second of sound",
    CloseCode.INTERNAL_ERROR: "the service failed; the error is in its log",
    CloseCode.SERVICE_RESTART: "the service stops; another may answer",
    CloseCode.TRY_AGAIN_LATER: "another stream took the place of one that sent too little, or the "
    "service has more to do than it can; try again in a moment",
}
"""why a stream is closed that was accepted (RFC 6455, section 7.4.1)"""


@dataclass(frozen=True)
class StreamQuery:
    """The query parameters of a stream, and the checkpoint that they choose."""

    key: parameters.ChosenCheckpoint
    sample_rate: Annotated[int, Query(ge=4_000, le=192_000, description="of the PCM, Hz")]
    top_k: parameters.TopK = 3
    hop_seconds: Annotated[float, Query(ge=0.25, le=60, description="between predictions")] = 1.0


_StreamQueryDependency = Annotated[StreamQuery, Depends()]


@router.websocket("/stream/{task}")
async def stream(socket: WebSocket, query: _StreamQueryDependency) -> None:
    """Send a prediction for each hop of sound, received as 16-bit little-endian PCM, mono.

    A message holds a second of sound at most, and no more are read than are classified: a client
    that sends faster has to wait. When it is gone, so is the work. What is wrong before sound can
    be received is answered in the place of the handshake, as a problem.
    """
    state: AppState = socket.app.state.earshot
    offered = socket.scope.get("subprotocols", ())
    with state.live_admission.acquire() as slot:
        classifier = StreamClassifier(
            await state.registry.get(query.key),
            sample_rate=query.sample_rate,
            hop_seconds=query.hop_seconds,
            top_k=query.top_k,
            run_in_thread=state.run_in_thread,
            instrumentation=state.metrics,
        )
        try:
            await socket.accept(STREAM_PROTOCOL if STREAM_PROTOCOL in offered else None)
            await _classify(socket, slot, classifier, query)
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


@router.get("/stream/{task}", include_in_schema=False, response_model=None)
async def refuse_plain_request(state: StateDependency, query: _StreamQueryDependency) -> NoReturn:
    """Refuse a request that is no handshake, as the handshake would be, where it would be.

    Browsers show nothing of a handshake that was refused: this is how a page learns why.
    """
    with state.live_admission.acquire():
        await state.registry.get(query.key)
    raise ProblemError(
        "upgrade-required",
        "this address is that of a WebSocket, which is opened with ws:// or wss://",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )


async def _classify(
    socket: WebSocket, slot: AdmissionSlot, classifier: StreamClassifier, query: StreamQuery
) -> NoReturn:
    state: AppState = socket.app.state.earshot
    while True:
        pcm = await _receive(socket, slot, query.sample_rate)
        async with _deadline(state.settings.request_timeout_seconds):
            async for prediction in classifier.classify_chunk(pcm):
                await socket.send_text(prediction.model_dump_json())
                state.metrics.count_prediction(*query.key, prediction.label, query.hop_seconds)


async def _receive(socket: WebSocket, slot: AdmissionSlot, sample_rate: int) -> bytes:
    async with slot.waiting_for_client():
        message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", CloseCode.NO_STATUS_RCVD))
    pcm: bytes | None = message.get("bytes")
    if pcm is None:
        raise WebSocketException(
            CloseCode.UNSUPPORTED_DATA, "send binary messages of 16-bit PCM, not text"
        )
    if len(pcm) % SAMPLE_BYTES:
        raise WebSocketException(
            CloseCode.INVALID_DATA,
            f"a message of {len(pcm)} bytes ends in the middle of a 16-bit sample",
        )
    seconds = len(pcm) / SAMPLE_BYTES / sample_rate
    if seconds > 1:
        raise WebSocketException(
            CloseCode.MESSAGE_TOO_BIG,
            f"a message holds {seconds:.2f} s of sound; send a second at most",
        )
    slot.count_received(seconds)
    return pcm


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise deadline_exceeded(seconds) from None


async def _close(socket: WebSocket, error: ProblemError) -> None:
    if socket.application_state is not WebSocketState.CONNECTED:
        return
    codes = {500: CloseCode.INTERNAL_ERROR, 503: CloseCode.TRY_AGAIN_LATER}
    code = codes.get(error.problem.status, CloseCode.POLICY_VIOLATION)
    # A reason has at most 123 bytes.
    await socket.close(code, error.problem.detail.encode()[:120].decode("utf-8", "ignore"))
