"""Responses, decoded while they come in: one decoder for both clients."""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from earshot.errors import error_from, unexpected_answer
from earshot.schemas import Classification, Progress

T = TypeVar("T")
ItemT_co = TypeVar("ItemT_co", covariant=True)
ModelT = TypeVar("ModelT", bound=BaseModel)

OnProgress = Callable[[Progress], None]


class Decoder(Protocol[ItemT_co]):
    """Turns the bytes of one response into items."""

    def feed(self, chunk: bytes) -> Iterable[ItemT_co]:
        """Take the next bytes, and return the items that they complete."""
        ...

    def finish(self) -> Iterable[ItemT_co]:
        """Return the items that are complete because the response has ended.

        Raises EarshotError when something is missing.
        """
        ...


class BodyDecoder(Generic[T]):
    """Makes one item of the whole body."""

    def __init__(self, parse: Callable[[bytes], T]) -> None:
        self._parse = parse
        self._content = bytearray()

    def feed(self, chunk: bytes) -> Iterable[T]:
        """Keep the bytes."""
        self._content += chunk
        return ()

    def finish(self) -> Iterable[T]:
        """Return the item."""
        yield self._parse(bytes(self._content))


class _LineDecoder:
    def __init__(self) -> None:
        self._rest = b""

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        # Not httpx's lines: they end at U+2028, too, which JSON may hold.
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return (line.removesuffix(b"\r") for line in lines)


class NdjsonDecoder(_LineDecoder, Generic[ModelT]):
    """Makes an item of each line."""

    def __init__(self, model: type[ModelT]) -> None:
        super().__init__()
        self._model = model

    def feed(self, chunk: bytes) -> Iterable[ModelT]:
        """Yield the items of whole lines."""
        return (parse(self._model, line) for line in self._lines(chunk) if line)

    def finish(self) -> Iterable[ModelT]:
        """Yield the item of a last line that has no end."""
        return self.feed(b"\n")


class EventDecoder(_LineDecoder):
    """Makes an item of the event `result` of Server-Sent Events, and reports those before it."""

    def __init__(self, on_progress: OnProgress) -> None:
        super().__init__()
        self._on_progress = on_progress
        self._event = b""
        self._data: list[bytes] = []
        self._is_complete = False

    def feed(self, chunk: bytes) -> Iterable[Classification]:
        """Yield the result; raise EarshotError for an event `error`."""
        for line in self._lines(chunk):
            field, _, value = line.partition(b":")
            if field == b"event":
                self._event = value.removeprefix(b" ")
            elif field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not line and self._data:
                yield from self._dispatch(self._event, b"\n".join(self._data))
                self._event, self._data = b"", []

    def finish(self) -> Iterable[Classification]:
        """Return nothing more."""
        if not self._is_complete:
            raise unexpected_answer("the events end without a result")
        return ()

    def _dispatch(self, event: bytes, data: bytes) -> Iterator[Classification]:
        if event == b"result":
            self._is_complete = True
            yield parse(Classification, data)
        elif event == b"error":
            raise error_from(HTTPStatus.INTERNAL_SERVER_ERROR, "", data)
        elif event == b"progress":
            self._on_progress(parse(Progress, data))


def parse(model: type[ModelT], content: str | bytes) -> ModelT:
    """Return the model that JSON describes.

    Raises EarshotError for anything else.
    """
    try:
        # A newer service may say more.
        return model.model_validate_json(content, extra="ignore")
    except ValidationError as error:
        raise unexpected_answer(content) from error
