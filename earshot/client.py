"""A typed client of the service: `Client` to wait with, `AsyncClient` to await.

Example:
    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("urban-sound", "dog.wav").label)
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

import anyio
import httpx
from pydantic import BaseModel, ValidationError

from app.api.schemas import Health, Model, ModelList, Problem
from app.audio.windows import WindowName
from app.checkpoints.labels import TaskName
from app.inference.answers import Classification
from earshot import DEFAULT_SERVER
from earshot.retries import wait_before
from earshot.uploads import Recording, Upload, opened

_TIMEOUT_SECONDS = 120.0  # ten minutes of sound on a busy processor
_RETRIES = 3
_DETAIL_CHARACTERS = 200

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
        timeout: float = _TIMEOUT_SECONDS,
        retries: int = _RETRIES,
    ) -> None:
        """Prepare to talk to the service at `server`.

        Args:
            server: its address.
            timeout: seconds to wait for the connection, and for each next piece of an answer.
            retries: how often to ask again where the service is busy and says when it is not.
        """
        self._http = httpx.Client(base_url=server, timeout=timeout)
        self._retries = retries

    def classify(
        self,
        task: TaskName,
        recording: Recording,
        *,
        window: WindowName = "hann",
        top_k: int = 3,
    ) -> Classification:
        """Say what is in a recording.

        Args:
            task: what to listen for.
            recording: a path, the bytes of a file or a file that is open in binary mode, which
                is read from where it stands.
            window: analysis window of the checkpoint that answers.
            top_k: labels in `ranked`, 1 to 100.

        Raises:
            OSError: the path cannot be read.
        """
        params = {"window": window, "top_k": top_k}
        with opened(recording) as upload:
            return _parse(
                Classification, self._send("POST", f"/v1/classify/{task}", params, upload)
            )

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
    ) -> httpx.Response:
        attempt = 0
        while True:
            response = self._http.request(
                method,
                path,
                params=params,
                content=upload.chunks() if upload else None,
                headers=upload.headers if upload else None,
            )
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
        timeout: float = _TIMEOUT_SECONDS,
        retries: int = _RETRIES,
    ) -> None:
        """See `Client`."""
        self._http = httpx.AsyncClient(base_url=server, timeout=timeout)
        self._retries = retries

    async def classify(
        self,
        task: TaskName,
        recording: Recording,
        *,
        window: WindowName = "hann",
        top_k: int = 3,
    ) -> Classification:
        """See `Client.classify`; the recording is read on a worker thread."""
        params = {"window": window, "top_k": top_k}
        with opened(recording) as upload:
            response = await self._send("POST", f"/v1/classify/{task}", params, upload)
        return _parse(Classification, response)

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
    ) -> httpx.Response:
        attempt = 0
        while True:
            response = await self._http.request(
                method,
                path,
                params=params,
                content=upload.async_chunks() if upload else None,
                headers=upload.headers if upload else None,
            )
            wait = _wait(response, attempt, self._retries, upload)
            if wait is None:
                return _checked(response)
            await anyio.sleep(wait)
            attempt += 1


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
        raise EarshotError(
            Problem(
                type="about:blank",
                title="The answer is not that of an Earshot service",
                status=response.status_code,
                detail=response.text[:_DETAIL_CHARACTERS],
            )
        ) from error


def _not_ready(error: EarshotError) -> bool:
    """Return False where `error` says so; raise it where it says something else."""
    if error.problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return False
    raise error
