"""A typed client of the service: `Client` to wait with, `AsyncClient` to await.

Example:
    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("urban-sound", "dog.wav").label)
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, closing
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

import anyio
import httpx
from httpx_sse import EventSource, ServerSentEvent
from pydantic import BaseModel, ValidationError

from earshot.schemas import Health, Model, ModelList, Problem
from app.audio.stft import WindowName
from training.tasks import TaskName
from earshot.schemas import Classification, Progress
from earshot import DEFAULT_SERVER
from earshot.retries import wait_before
from earshot.uploads import Recording, Upload, opened

_TIMEOUT_SECONDS = 120.0  # ten minutes of sound on a busy processor
_RETRIES = 3
_DETAIL_CHARACTERS = 200
_EVENTS = "text/event-stream"

OnProgress = Callable[[Progress], None]

Answer = TypeVar("Answer", bound=BaseModel)


class EarshotError(Exception):
    """The service answered with an error."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem
        """type, title, status and detail (RFC 9457)"""

    def __str__(self) -> str:
        return f"{self.problem.title}: {self.problem.detail}"


class SpectrogramOptions(TypedDict, total=False):
    """What may be said of a picture; the service has defaults."""

    window: WindowName
    clip: int
    """which of the genre's recordings, from 1"""
    width: int
    """pixels"""
    height: int
    """pixels"""
    colour_map: str
    dynamic_range_db: float
    """dB shown below the loudest point"""


class Client:
    """A connection to one service. Safe to use from many threads; close it, or use `with`.

    Every method raises EarshotError where the service answers with an error, and
    httpx.TransportError where it does not answer at all.
    """

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
        self._http = httpx.Client(base_url=server, timeout=timeout, headers=_credentials(api_key))
        self._retries = retries

    def classify(
        self,
        task: TaskName,
        recording: Recording,
        *,
        window: WindowName = "hann",
        top_k: int = 3,
        hop: float | None = None,
        segment: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> Classification:
        """Say what is in a recording.

        Args:
            task: what to listen for.
            recording: a path, the bytes of a file or a file that is open in binary mode, which
                is read from where it stands.
            window: analysis window of the checkpoint that answers.
            top_k: labels in `ranked`, 1 to 100.
            hop: seconds between the clips that a long recording is cut into; None: half a clip.
            segment: seconds of the shortest segment in the timeline.
            on_progress: is told, again and again, how much of a long recording was listened to.

        Raises:
            OSError: the path cannot be read.
        """
        path, params = f"/v1/classify/{task}", _classify_params(window, top_k, hop, segment)
        with opened(recording) as upload:
            if on_progress is None:
                return _parse(Classification, self._send("POST", path, params, upload))
            with closing(self._send("POST", path, params, upload, events=True)) as response:
                if not _has_events(response):
                    response.read()
                    return _parse(Classification, response)
                answer = None
                for event in EventSource(response).iter_sse():
                    answer = _heard(event, on_progress)
        return _whole(answer)

    def spectrogram(self, genre: str, **options: Unpack[SpectrogramOptions]) -> bytes:
        """Draw an example recording of `genre`; returns a PNG."""
        return self._send("GET", "/v1/spectrogram", {"genre": genre, **options}).content

    def models(self) -> list[Model]:
        """List the checkpoints of the service, loaded or not."""
        return _parse(ModelList, self._send("GET", "/v1/models")).models

    def health(self) -> Health:
        """Ask whether the process is alive."""
        return _parse(Health, self._send("GET", "/healthz"))

    def ready(self) -> bool:
        """Ask whether the service has a checkpoint to answer with."""
        try:
            self._send("GET", "/readyz")
        except EarshotError as error:
            return _not_ready(error)
        return True

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

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        upload: Upload | None = None,
        *,
        events: bool = False,
    ) -> httpx.Response:
        """The answer to a request; of `events`, it is yet to be read."""
        attempt = 0
        while True:
            request = self._http.build_request(
                method,
                path,
                params=params,
                content=upload.chunks() if upload else None,
                headers=_headers(upload, events),
            )
            response = self._http.send(request, stream=events)
            if not response.is_success:
                response.read()
            wait = _wait(response, attempt, self._retries, upload)
            if wait is None:
                return _checked(response)
            time.sleep(wait)
            attempt += 1


class AsyncClient:
    """The same as `Client`, to be awaited."""

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        api_key: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        retries: int = _RETRIES,
    ) -> None:
        """See `Client`."""
        self._http = httpx.AsyncClient(
            base_url=server, timeout=timeout, headers=_credentials(api_key)
        )
        self._retries = retries

    async def classify(
        self,
        task: TaskName,
        recording: Recording,
        *,
        window: WindowName = "hann",
        top_k: int = 3,
        hop: float | None = None,
        segment: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> Classification:
        """See `Client.classify`; the recording is read on a worker thread."""
        path, params = f"/v1/classify/{task}", _classify_params(window, top_k, hop, segment)
        with opened(recording) as upload:
            if on_progress is None:
                return _parse(Classification, await self._send("POST", path, params, upload))
            response = await self._send("POST", path, params, upload, events=True)
            async with aclosing(response):
                if not _has_events(response):
                    await response.aread()
                    return _parse(Classification, response)
                answer = None
                async for event in EventSource(response).aiter_sse():
                    answer = _heard(event, on_progress)
        return _whole(answer)

    async def spectrogram(self, genre: str, **options: Unpack[SpectrogramOptions]) -> bytes:
        """See `Client.spectrogram`."""
        return (await self._send("GET", "/v1/spectrogram", {"genre": genre, **options})).content

    async def models(self) -> list[Model]:
        """See `Client.models`."""
        return _parse(ModelList, await self._send("GET", "/v1/models")).models

    async def health(self) -> Health:
        """See `Client.health`."""
        return _parse(Health, await self._send("GET", "/healthz"))

    async def ready(self) -> bool:
        """See `Client.ready`."""
        try:
            await self._send("GET", "/readyz")
        except EarshotError as error:
            return _not_ready(error)
        return True

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

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        upload: Upload | None = None,
        *,
        events: bool = False,
    ) -> httpx.Response:
        attempt = 0
        while True:
            request = self._http.build_request(
                method,
                path,
                params=params,
                content=upload.async_chunks() if upload else None,
                headers=_headers(upload, events),
            )
            response = await self._http.send(request, stream=events)
            if not response.is_success:
                await response.aread()
            wait = _wait(response, attempt, self._retries, upload)
            if wait is None:
                return _checked(response)
            await anyio.sleep(wait)
            attempt += 1


def _credentials(api_key: str | None) -> dict[str, str]:
    api_key = (api_key or os.environ.get("EARSHOT_API_KEY", "")).strip()
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _classify_params(
    window: WindowName, top_k: int, hop: float | None, segment: float
) -> Mapping[str, str | int | float]:
    params: dict[str, str | int | float] = {"window": window, "top_k": top_k, "segment": segment}
    return params if hop is None else params | {"hop": hop}


def _headers(upload: Upload | None, events: bool) -> dict[str, str]:
    return (upload.headers if upload else {}) | ({"Accept": _EVENTS} if events else {})


def _has_events(response: httpx.Response) -> bool:
    """Whether events were answered: older services have none, and others than services."""
    kind: str = response.headers.get("content-type", "")
    return kind.startswith(_EVENTS)


def _heard(event: ServerSentEvent, on_progress: OnProgress) -> Classification | None:
    """What an event answers, None where it tells of progress.

    Raises EarshotError for one that tells of a problem, or of what no service tells.
    """
    try:
        if event.event == "answer":
            return Classification.model_validate_json(event.data, extra="ignore")
        if event.event == "error":
            raise EarshotError(Problem.model_validate_json(event.data))
        progress = Progress.model_validate_json(event.data, extra="ignore")
    except ValidationError as error:
        raise _not_earshot(event.data) from error
    on_progress(progress)
    return None


def _whole(answer: Classification | None) -> Classification:
    if answer is None:
        raise _not_earshot("the events end without an answer")
    return answer


def _not_earshot(detail: str, status: int = HTTPStatus.OK) -> EarshotError:
    return EarshotError(
        Problem(
            type="about:blank",
            title="The answer is not that of an Earshot service",
            status=status,
            detail=detail[:_DETAIL_CHARACTERS],
        )
    )


def _wait(
    response: httpx.Response, attempt: int, retries: int, upload: Upload | None
) -> float | None:
    if attempt == retries or (upload is not None and not upload.repeatable):
        return None
    return wait_before(attempt, response)


def _checked(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise EarshotError(_problem(response))
    return response


def _problem(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        # Something between the service and here has answered in its place.
        return Problem(
            type="about:blank",
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=response.text[:_DETAIL_CHARACTERS],
        )


def _parse(model: type[Answer], response: httpx.Response) -> Answer:
    try:
        # A newer service may say more.
        return model.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        raise _not_earshot(response.text, response.status_code) from error


def _not_ready(error: EarshotError) -> bool:
    """Return False where `error` says so; raise it where it says something else."""
    if error.problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return False
    raise error
