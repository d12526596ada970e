"""The service's API in Python: `Client` to wait with, `AsyncClient` to await.

Both have the operations of `earshot.operations`, and only send them.
"""

import inspect
import itertools
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing, closing
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, Unpack, cast, get_args

import anyio
import httpx

from earshot import DEFAULT_SERVER, __version__, operations
from earshot.errors import error_from
from earshot.live import LiveStream
from earshot.operations import Operation, RankOptions
from earshot.retries import wait_before
from earshot.schemas import StreamPrediction
from earshot.uploads import Upload, read_in_thread

_TIMEOUT_SECONDS = 120.0  # ten minutes of sound on a busy processor
_RETRIES = 3

P = ParamSpec("P")
T = TypeVar("T")
CallT = TypeVar("CallT", bound=Callable[..., Any])
HttpT = TypeVar("HttpT", httpx.Client, httpx.AsyncClient)


class _BaseClient(Generic[HttpT]):
    """The connections of a client, its requests, and when it repeats one."""

    _http_class: type[HttpT]

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        api_key: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        retries: int = _RETRIES,
    ) -> None:
        """Prepare to talk to the service at `server`.

        Args:
            server: its address.
            api_key: for a service that wants one; if not given, EARSHOT_API_KEY has it.
            timeout: seconds to wait for the connection, and for each next piece of an answer.
            retries: how often to ask again where the service is busy and says when it is not.
        """
        api_key = (api_key or os.environ.get("EARSHOT_API_KEY", "")).strip()
        headers = {"User-Agent": f"earshot/{__version__}"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http: HttpT = self._http_class(base_url=server, timeout=timeout, headers=headers)
        self._timeout = timeout
        self._retries = retries

    def _request(
        self,
        operation: Operation[Any],
        upload: Upload | None,
        content: Iterable[bytes] | AsyncIterable[bytes] | None,
    ) -> httpx.Request:
        return self._http.build_request(
            operation.method,
            operation.path,
            params=_given(operation.params),
            content=content,
            headers=(upload.headers if upload else {}) | dict(operation.headers or {}),
        )

    def _is_accepted(self, operation: Operation[Any], response: httpx.Response) -> bool:
        return response.is_success or response.status_code in operation.accepted

    def _wait_before_retry(
        self, response: httpx.Response, attempt: int, upload: Upload | None
    ) -> float:
        """Return how many seconds to wait; raise the response's error where that is no use."""
        repeatable = upload is None or upload.repeatable
        wait = wait_before(attempt, response) if repeatable and attempt < self._retries else None
        if wait is None:
            raise error_from(response.status_code, response.reason_phrase, response.content)
        return wait

    def _live_stream(
        self, task: str, sample_rate: int, hop_seconds: float, options: RankOptions
    ) -> LiveStream:
        params = {**options, "sample_rate": sample_rate, "hop_seconds": hop_seconds}
        return LiveStream(
            self._http.build_request("GET", f"/stream/{task}", params=_given(params)),
            timeout=self._timeout,
            retries=self._retries,
            sample_rate=sample_rate,
            hop_seconds=hop_seconds,
        )


def _given(params: operations.Params) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _as_method(call: CallT, operation: Callable[..., Operation[Any]], result: Any = None) -> CallT:
    """Give `call` the name, documentation and parameters of the operation that it sends.

    Args:
        call: returns the operation's item, or an iterator over its items.
        operation: describes it.
        result: the iterator's type, None for an item.
    """
    signature = inspect.signature(operation)
    [item] = get_args(signature.return_annotation)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method: Any = wraps(operation)(call)
    method.__signature__ = signature.replace(
        parameters=[this, *signature.parameters.values()],
        return_annotation=item if result is None else result[item],
    )
    return cast("CallT", method)


def _sends(operation: Callable[P, Operation[T]]) -> Callable[Concatenate["Client", P], T]:
    """Return a method that sends an operation and returns its only item."""

    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        [item] = self._items(operation(*args, **kwargs))
        return item

    return _as_method(call, operation)


def _iterates(
    operation: Callable[P, Operation[T]],
) -> Callable[Concatenate["Client", P], Iterator[T]]:
    """Return a method that sends an operation and yields its items."""

    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._items(operation(*args, **kwargs))

    return _as_method(call, operation, Iterator)


class Client(_BaseClient[httpx.Client]):
    """A connection to one service. Safe to use from many threads; close it, or use `with`.

    Every method raises EarshotError where the service answers with an error, and
    httpx.TransportError where it does not answer at all.

    Example:
        with Client("http://127.0.0.1:8000") as client:
            print(client.classify("urban-sound", "street.wav").label)
    """

    _http_class = httpx.Client

    classify = _sends(operations.classify)
    classify_batch = _iterates(operations.classify_batch)
    embed = _sends(operations.embed)
    explain = _sends(operations.explain)
    draw_explanation = _sends(operations.draw_explanation)
    spectrogram = _sends(operations.spectrogram)
    genre_spectrogram = _sends(operations.genre_spectrogram)
    genres = _sends(operations.genres)
    recording = _sends(operations.recording)
    models = _sends(operations.models)
    health = _sends(operations.health)
    ready = _sends(operations.ready)
    reload = _sends(operations.reload)

    def stream(
        self,
        task: str,
        pcm: Iterable[bytes],
        *,
        sample_rate: int,
        hop_seconds: float = 1.0,
        **options: Unpack[RankOptions],
    ) -> Iterator[StreamPrediction]:
        """Classify live sound; yield a prediction for each hop, once the next piece is sent.

        Args:
            task: as in `classify`.
            pcm: pieces of 16-bit little-endian samples of one channel, such as a microphone
                gives them. When they end, the predictions that are left are waited for.
            sample_rate: of the PCM, 4,000 to 192,000 Hz.
            hop_seconds: between predictions, 0.25 to 60.
            options: see `earshot.operations.RankOptions`.
        """
        return self._live_stream(task, sample_rate, hop_seconds, options).predict(pcm)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _items(self, operation: Operation[T]) -> Iterator[T]:
        with operation.open_upload() as upload:
            for attempt in itertools.count():
                content = upload.chunks() if upload else None
                request = self._request(operation, upload, content)
                with closing(self._http.send(request, stream=True)) as response:
                    if self._is_accepted(operation, response):
                        decoder = operation.decoder(response)
                        for chunk in response.iter_bytes():
                            yield from decoder.feed(chunk)
                        yield from decoder.finish()
                        return
                    response.read()
                time.sleep(self._wait_before_retry(response, attempt, upload))


def _awaits(
    operation: Callable[P, Operation[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    """Return a method that sends an operation and, awaited, returns its only item."""

    async def call(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        [item] = [item async for item in self._items(operation(*args, **kwargs))]
        return item

    return _as_method(call, operation)


def _iterates_async(
    operation: Callable[P, Operation[T]],
) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[T]]:
    """Return a method that sends an operation and yields its items asynchronously."""

    def call(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._items(operation(*args, **kwargs))

    return _as_method(call, operation, AsyncIterator)


class AsyncClient(_BaseClient[httpx.AsyncClient]):
    """The same as `Client`, to be awaited; recordings are read on a worker thread.

    Example:
        async with AsyncClient("http://127.0.0.1:8000") as client:
            print((await client.classify("urban-sound", "street.wav")).label)
    """

    _http_class = httpx.AsyncClient

    classify = _awaits(operations.classify)
    classify_batch = _iterates_async(operations.classify_batch)
    embed = _awaits(operations.embed)
    explain = _awaits(operations.explain)
    draw_explanation = _awaits(operations.draw_explanation)
    spectrogram = _awaits(operations.spectrogram)
    genre_spectrogram = _awaits(operations.genre_spectrogram)
    genres = _awaits(operations.genres)
    recording = _awaits(operations.recording)
    models = _awaits(operations.models)
    health = _awaits(operations.health)
    ready = _awaits(operations.ready)
    reload = _awaits(operations.reload)

    def stream(
        self,
        task: str,
        pcm: Iterable[bytes] | AsyncIterable[bytes],
        *,
        sample_rate: int,
        hop_seconds: float = 1.0,
        **options: Unpack[RankOptions],
    ) -> AsyncIterator[StreamPrediction]:
        """Classify live sound, see `Client.stream`; needs an event loop of asyncio."""
        return self._live_stream(task, sample_rate, hop_seconds, options).predict_async(pcm)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _items(self, operation: Operation[T]) -> AsyncIterator[T]:
        with operation.open_upload() as upload:
            for attempt in itertools.count():
                content = read_in_thread(upload.chunks()) if upload else None
                request = self._request(operation, upload, content)
                async with aclosing(await self._http.send(request, stream=True)) as response:
                    if self._is_accepted(operation, response):
                        decoder = operation.decoder(response)
                        async for chunk in response.aiter_bytes():
                            for item in decoder.feed(chunk):
                                yield item
                        for item in decoder.finish():
                            yield item
                        return
                    await response.aread()
                await anyio.sleep(self._wait_before_retry(response, attempt, upload))
