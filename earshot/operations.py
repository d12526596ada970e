"""The operations of the service's API, each described once for both clients."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack

import httpx
from pydantic import BaseModel

from earshot.responses import BodyDecoder, Decoder, EventDecoder, NdjsonDecoder, OnProgress, parse
from earshot.schemas import (
    BatchLine,
    Classification,
    Embeddings,
    Explanation,
    Genre,
    GenreList,
    Health,
    ModelInfo,
    ModelList,
    ReloadReport,
)
from earshot.uploads import AudioFile, MultipartUpload, Upload, open_upload

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

Params = Mapping[str, Any]
PictureFormat = Literal["png", "svg", "webp"]

_EVENTS = "text/event-stream"


class CheckpointOptions(TypedDict, total=False):
    """Which checkpoint of a task answers; without either, the task's default."""

    checkpoint: str | None
    """name of the checkpoint"""
    window: str | None
    """the same, for a checkpoint that is named for its analysis window"""


class RankOptions(CheckpointOptions, total=False):
    """How many labels are ranked, and by which checkpoint."""

    top_k: int
    """labels in `ranked`, 1 to 100; 3 if not given"""


class ClassifyOptions(RankOptions, total=False):
    """How a recording is classified."""

    hop_seconds: float | None
    """between the starts of the clips of a long recording; half a clip if not given"""
    min_segment_seconds: float
    """of the shortest segment of a long recording; 0 if not given"""


class EmbedOptions(CheckpointOptions, total=False):
    """How a recording is embedded."""

    hop_seconds: float | None
    """between the starts of the clips of a long recording; half a clip if not given"""
    clips: bool
    """whether the clips' embeddings are given beside their mean; they are if not given"""
    normalise: bool
    """whether each embedding is brought to the Euclidean length 1; it is not if not given"""


class ExplainOptions(CheckpointOptions, total=False):
    """Which prediction is explained."""

    label: str | None
    """the most probable one if not given"""
    clip: int | None
    """number of the clip in the recording, from 1; the clip surest of the label if not given"""


class PictureSize(TypedDict, total=False):
    """The size of a picture, in pixels."""

    width: int
    height: int


class ExplanationPictureOptions(ExplainOptions, PictureSize, total=False):
    """Which prediction is explained, and how it is drawn."""

    format: PictureFormat
    """png if not given"""


class SpectrogramOptions(PictureSize, total=False):
    """How a spectrogram is drawn."""

    format: PictureFormat | Literal["json", "npy"]
    """png if not given; json: as `earshot.schemas.SpectrogramList`; npy: an array for NumPy"""
    window: str
    """analysis window: hann, hamming or rectangular"""
    colour_map: str
    axis: Literal["linear", "log", "mel"]
    """scale of the frequencies"""
    top_db: float
    """dB shown below the loudest point"""


@dataclass(frozen=True)
class Operation(Generic[T]):
    """A request to the service, and how its response is decoded."""

    method: str
    path: str
    decoder: Callable[[httpx.Response], Decoder[T]]
    """returns what decodes a response, of which the head is there"""
    params: Params
    open_upload: Callable[[], AbstractContextManager[Upload | None]] = nullcontext
    headers: Mapping[str, str] | None = None
    accepted: frozenset[int] = frozenset()
    """statuses beside those of success that are answers and no errors"""


def classify(
    task: str,
    audio: AudioFile,
    *,
    on_progress: OnProgress | None = None,
    **options: Unpack[ClassifyOptions],
) -> Operation[Classification]:
    """Classify a recording.

    Args:
        task: name of a task that the service has, see `models`.
        audio: a path, the bytes of a file, or a file that is open in binary mode, which is read
            from where it stands.
        on_progress: is called, again and again, with how much of the recording is classified.
        options: see `ClassifyOptions`.

    Raises:
        EarshotError: the service answers with an error.
        OSError: the path cannot be read.
    """
    whole = partial(parse, Classification)

    def decoder(response: httpx.Response) -> Decoder[Classification]:
        has_events = response.headers.get("content-type", "").startswith(_EVENTS)
        if on_progress is None or not has_events:
            return BodyDecoder(whole)
        return EventDecoder(on_progress)

    return Operation(
        "POST",
        f"/classify/{task}",
        decoder,
        options,
        partial(open_upload, audio),
        {} if on_progress is None else {"Accept": _EVENTS},
    )


def classify_batch(
    task: str, files: Iterable[AudioFile], **options: Unpack[RankOptions]
) -> Operation[BatchLine]:
    """Classify many recordings in one request; yield a line for each, in order of completion.

    A recording that cannot be classified has a `problem` in the place of its `result`; `index`
    is its place in `files`. The first line comes when all files are sent.

    Raises:
        EarshotError: the service answers the request as a whole with an error.
        OSError: a path cannot be read.
    """
    return Operation(
        "POST",
        f"/classify/{task}/batch",
        lambda _: NdjsonDecoder(BatchLine),
        options,
        lambda: nullcontext(MultipartUpload(files)),
    )


def embed(task: str, audio: AudioFile, **options: Unpack[EmbedOptions]) -> Operation[Embeddings]:
    """Return the features of a recording that the network's last layer reads, in numbers."""
    return Operation(
        "POST", f"/embed/{task}", _model(Embeddings), options, partial(open_upload, audio)
    )


def explain(
    task: str, audio: AudioFile, **options: Unpack[ExplainOptions]
) -> Operation[Explanation]:
    """Return where in a recording's spectrogram the network found a label, in numbers."""
    return Operation(
        "POST",
        f"/explain/{task}",
        _model(Explanation),
        {**options, "format": "json"},
        partial(open_upload, audio),
    )


def draw_explanation(
    task: str, audio: AudioFile, **options: Unpack[ExplanationPictureOptions]
) -> Operation[bytes]:
    """Draw where in a recording's spectrogram the network found a label; return the picture."""
    return Operation("POST", f"/explain/{task}", _content, options, partial(open_upload, audio))


def spectrogram(
    audio: AudioFile,
    *,
    compare: Literal["windows"] | None = None,
    **options: Unpack[SpectrogramOptions],
) -> Operation[bytes]:
    """Draw the spectrogram of a recording; return the picture.

    Args:
        audio: as in `classify`.
        compare: draw it through each analysis window, side by side.
        options: see `SpectrogramOptions`.
    """
    return Operation(
        "POST",
        "/spectrogram",
        _content,
        {**options, "compare": compare},
        partial(open_upload, audio),
    )


def genre_spectrogram(
    genre: str | None,
    *,
    track: int = 1,
    compare: Literal["windows", "genres"] | None = None,
    **options: Unpack[SpectrogramOptions],
) -> Operation[bytes]:
    """Draw the spectrogram of a recording of the service's gallery; return the picture.

    Args:
        genre: see `genres`; None where genres are compared.
        track: number of the genre's recording, from 1.
        compare: draw it through each analysis window, or all genres, side by side.
        options: see `SpectrogramOptions`.
    """
    params = {**options, "genre": genre, "track": track, "compare": compare}
    return Operation("GET", "/spectrogram", _content, params)


def genres(limit: int = 10) -> Operation[list[Genre]]:
    """List the genres of the gallery with `limit` recordings of each, and their features."""
    return Operation(
        "GET", "/genres", _body(lambda content: parse(GenreList, content).genres), {"limit": limit}
    )


def recording(genre: str, *, track: int = 1) -> Operation[bytes]:
    """Return the file of one of the gallery's recordings."""
    return Operation("GET", "/recording", _content, {"genre": genre, "track": track})


def models() -> Operation[list[ModelInfo]]:
    """List the checkpoints of the service, loaded or not: their tasks, names and labels."""
    return Operation("GET", "/models", _body(lambda content: parse(ModelList, content).models), {})


def health() -> Operation[Health]:
    """Return the state and version of the service's process."""
    return Operation("GET", "/healthz", _model(Health), {})


def ready() -> Operation[bool]:
    """Return whether the service has a checkpoint to answer with."""
    return Operation(
        "GET",
        "/readyz",
        lambda response: BodyDecoder(lambda _: response.is_success),
        {},
        accepted=frozenset({HTTPStatus.SERVICE_UNAVAILABLE}),
    )


def reload() -> Operation[ReloadReport]:
    """Make the service take over the present contents of its store; needs an admin's key.

    Raises EarshotError when a checkpoint was refused.
    """
    return Operation("POST", "/admin/reload", _model(ReloadReport), {})


def _body(read: Callable[[bytes], T]) -> Callable[[httpx.Response], Decoder[T]]:
    return lambda _: BodyDecoder(read)


def _model(model: type[ModelT]) -> Callable[[httpx.Response], Decoder[ModelT]]:
    return _body(partial(parse, model))


_content: Callable[[httpx.Response], Decoder[bytes]] = _body(bytes)
