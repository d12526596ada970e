"""Live sound: PCM to the service's WebSocket, predictions back."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

import httpx
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from earshot.errors import error_from, stream_closed
from earshot.responses import parse
from earshot.retries import wait_before
from earshot.schemas import StreamPrediction

_SAMPLE_BYTES = 2
# What the service's resampler still holds after the last sample, and more.
_PADDING_SECONDS = 0.5
_TOLERANCE_SECONDS = 0.001


class LiveStream:
    """PCM on its way to the service, and how far the predictions for it are."""

    def __init__(
        self,
        request: httpx.Request,
        *,
        timeout: float,
        retries: int,
        sample_rate: int,
        hop_seconds: float,
    ) -> None:
        """Connect to nothing yet.

        Args:
            request: its address, with http in the place of ws, and the key in its headers.
            timeout: seconds to wait for the connection, and for a prediction that is due.
            retries: how often to connect again where the service is busy and says when it is not.
            sample_rate: of the PCM, Hz.
            hop_seconds: between predictions.
        """
        scheme = "wss" if request.url.scheme == "https" else "ws"
        self._url = str(request.url.copy_with(scheme=scheme))
        key = request.headers.get("Authorization")
        self._headers = {} if key is None else {"Authorization": key}
        self._timeout = timeout
        self._retries = retries
        self._sample_rate = sample_rate
        self._hop_seconds = hop_seconds
        self._sent_samples = 0
        self._predicted_seconds = 0.0

    def predict(self, pcm: Iterable[bytes]) -> Iterator[StreamPrediction]:
        """Send the PCM and yield the predictions as they come."""
        with _client_errors():
            for attempt in itertools.count():
                try:
                    connection = connect(
                        self._url, additional_headers=self._headers, open_timeout=self._timeout
                    )
                    break
                except InvalidStatus as error:
                    time.sleep(self._wait_before_retry(error, attempt))
        with connection:
            for chunk in pcm:
                for piece in self._pieces(chunk):
                    with _client_errors():
                        connection.send(piece)
                    while (message := _receive_now(connection)) is not None:
                        yield self._parse(message)
            with _client_errors():
                connection.send(self._padding)
            while self._is_due:
                with _client_errors():
                    message = connection.recv(self._timeout)
                yield self._parse(message)
        _require_normal_end(connection)

    async def predict_async(
        self, pcm: Iterable[bytes] | AsyncIterable[bytes]
    ) -> AsyncIterator[StreamPrediction]:
        """Do as `predict`, on an event loop of asyncio."""
        with _client_errors():
            for attempt in itertools.count():
                try:
                    connection = await connect_async(
                        self._url, additional_headers=self._headers, open_timeout=self._timeout
                    )
                    break
                except InvalidStatus as error:
                    await asyncio.sleep(self._wait_before_retry(error, attempt))
        async with connection:
            async for chunk in _iterate(pcm):
                for piece in self._pieces(chunk):
                    with _client_errors():
                        await connection.send(piece)
                    while (message := await _receive_now_async(connection)) is not None:
                        yield self._parse(message)
            with _client_errors():
                await connection.send(self._padding)
            while self._is_due:
                with _client_errors():
                    async with asyncio.timeout(self._timeout):
                        message = await connection.recv()
                yield self._parse(message)
        _require_normal_end(connection)

    def _wait_before_retry(self, refusal: InvalidStatus, attempt: int) -> float:
        """Return how many seconds to wait; raise the refusal where that is no use."""
        response = httpx.Response(
            refusal.response.status_code, headers=list(refusal.response.headers.raw_items())
        )
        wait = wait_before(attempt, response) if attempt < self._retries else None
        if wait is None:
            raise refusal
        return wait

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Cut a chunk into pieces of one hop: more predictions than one are never on their way.

        A piece is a second at most, which is all that a message may hold.
        """
        if len(chunk) % _SAMPLE_BYTES:
            raise ValueError(f"{len(chunk)} bytes of PCM end in the middle of a 16-bit sample")
        size = _SAMPLE_BYTES * max(1, round(self._sample_rate * min(1.0, self._hop_seconds)))
        for start in range(0, len(chunk), size):
            piece = chunk[start : start + size]
            self._sent_samples += len(piece) // _SAMPLE_BYTES
            yield piece

    @property
    def _padding(self) -> bytes:
        return bytes(_SAMPLE_BYTES * round(self._sample_rate * _PADDING_SECONDS))

    @property
    def _is_due(self) -> bool:
        """Whether the service has a prediction to make for the samples that were sent."""
        sent_seconds = self._sent_samples / self._sample_rate
        return self._predicted_seconds + self._hop_seconds <= sent_seconds + _TOLERANCE_SECONDS

    def _parse(self, message: str | bytes) -> StreamPrediction:
        prediction = parse(StreamPrediction, message)
        self._predicted_seconds = prediction.end
        return prediction


def _receive_now(connection: ClientConnection) -> str | bytes | None:
    """Return a message if there is one."""
    with _client_errors():
        try:
            return connection.recv(timeout=0)
        except TimeoutError:
            return None


async def _receive_now_async(connection: AsyncConnection) -> str | bytes | None:
    """Return a message if there is one."""
    with _client_errors():
        try:
            async with asyncio.timeout(0):
                return await connection.recv()
        except TimeoutError:
            return None


async def _iterate(chunks: Iterable[bytes] | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk


def _require_normal_end(connection: ClientConnection | AsyncConnection) -> None:
    """Raise EarshotError if it was the service that closed the connection, with a reason."""
    if connection.close_code not in (CloseCode.NORMAL_CLOSURE, CloseCode.ABNORMAL_CLOSURE):
        raise stream_closed(connection.close_code or 0, connection.close_reason or "")


@contextmanager
def _client_errors() -> Iterator[None]:
    """Raise the errors of websockets as those that the rest of the client raises."""
    try:
        yield
    except InvalidStatus as error:
        response = error.response
        raise error_from(
            response.status_code, response.reason_phrase, bytes(response.body or b"")
        ) from error
    except ConnectionClosed as error:
        if error.rcvd is None:
            raise httpx.ReadError(str(error)) from error
        raise stream_closed(error.rcvd.code, error.rcvd.reason) from error
    except InvalidHandshake as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
