"""The clients and answers that the service gives rarely, or not yet."""

import asyncio
import inspect
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from earshot import AsyncClient, Client, EarshotError, operations
from earshot.responses import OnProgress
from earshot.schemas import BatchLine, Classification, Explanation, Progress
from earshot.uploads import AudioFile
from tests.unit.earshot.scripted import Reply, replies

ANSWER = {
    "task": "urban-sound",
    "label": "siren",
    "probability": 0.9,
    "ranked": [{"label": "siren", "probability": 0.9}],
    "audio": {"seconds": 2.0, "sample_rate": 16000, "channels": 1, "format": "wav"},
    "checkpoint": {"task": "urban-sound", "name": "hann", "version": "1"},
}
FINE = Reply(200, json.dumps(ANSWER))
BUSY = Reply(
    503,
    json.dumps({"type": "/problems/busy", "title": "Busy", "status": 503, "detail": "too much"}),
    {"Retry-After": "0"},
)

Classify = Callable[..., Classification]


def classify_waiting(
    server: str, recording: AudioFile, *, on_progress: OnProgress | None = None, **options: int
) -> Classification:
    with Client(server, **options) as client:
        return client.classify("urban-sound", recording, on_progress=on_progress)


def classify_awaiting(
    server: str, recording: AudioFile, *, on_progress: OnProgress | None = None, **options: int
) -> Classification:
    async def ask() -> Classification:
        async with AsyncClient(server, **options) as client:
            return await client.classify("urban-sound", recording, on_progress=on_progress)

    return asyncio.run(ask())


both = pytest.mark.parametrize("classify", [classify_waiting, classify_awaiting])


class CountedFile(io.BytesIO):
    """Remembers how much was read at once."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.reads.append(len(content))
        return content


@both
def test_a_file_is_read_once_in_small_pieces_from_where_it_stands(classify: Classify) -> None:
    content = os.urandom(300_000)
    file = CountedFile(b"head" + content)
    file.seek(4)
    with replies(FINE) as server:
        assert classify(server.address, file).label == "siren"
    assert server.bodies == [content]
    assert sum(file.reads) == len(content)
    assert max(file.reads) <= 65_536
    assert not file.closed


@both
def test_a_busy_service_is_asked_again_with_the_whole_file(classify: Classify) -> None:
    file = io.BytesIO(b"head" + b"sound" * 50_000)
    file.seek(4)
    with replies(BUSY, BUSY, FINE) as server:
        assert classify(server.address, file).label == "siren"
    assert server.bodies == [b"sound" * 50_000] * 3


@both
def test_after_the_last_try_the_problem_is_raised(classify: Classify) -> None:
    with replies(BUSY, BUSY) as server:
        with pytest.raises(EarshotError, match="Busy: too much") as error:
            classify(server.address, b"sound", retries=1)
        assert len(server.bodies) == 2
    problem = error.value.problem
    assert (problem.type, problem.title, problem.status) == ("/problems/busy", "Busy", 503)


@both
def test_a_service_that_misses_something_is_not_asked_again(classify: Classify) -> None:
    with replies(Reply(503, BUSY.body)) as server:
        with pytest.raises(EarshotError):
            classify(server.address, b"sound")
        assert len(server.bodies) == 1


@both
def test_what_can_be_read_once_is_sent_once(classify: Classify) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb") as other_end:
        other_end.write(b"sound" * 1000)
        other_end.close()
        with replies(BUSY) as server:
            with pytest.raises(EarshotError, match="too much"):
                classify(server.address, pipe)
            assert server.bodies == [b"sound" * 1000]


@both
def test_an_answer_to_come_is_understood(classify: Classify) -> None:
    """A label that is null with its reason, fractions of the time, and fields to come."""
    known = {"label": None, "reason": "no_voice", "label_fractions": {"siren": 0.25}}
    segment = {"start": 0, "end": 2, "label": None, "probability": 0.1, "loudness": -20}
    answer = ANSWER | known | {"segments": [segment], "mood": {"colour": "blue"}}
    with replies(Reply(200, json.dumps(answer))) as server:
        found = classify(server.address, b"sound")
    assert (found.label, found.reason) == (None, "no_voice")
    assert found.label_fractions == {"siren": 0.25}
    assert found.segments is not None
    assert (found.segments[0].end, found.segments[0].label) == (2, None)


def test_a_card_to_come_is_understood() -> None:
    """The server's own reading of cards is strict; a client has to put up with newer ones."""
    scores = {"clips": 1, "groups": 1, "accuracy": 1, "uar": 1, "macro_f1": 1, "beauty": 1}
    scores |= {"recall": {"siren": 1}, "confusion": [[1]]}
    metrics = {"protocol": "held out", "command": "earshot evaluate", "date": "2030-01-01"}
    metrics |= {"overall": scores, "by_corpus": {}, "accuracy_fp32": None}
    metrics |= {"expected_calibration_error": 0}
    model = {"task": "emotion", "name": "hann", "is_default": True, "status": "loaded"}
    model |= {"metrics": metrics}
    with replies(Reply(200, json.dumps({"models": [model]}))) as server:
        [found] = Client(server.address).models()
    assert found.metrics is not None
    assert found.metrics.overall.accuracy == 1


@both
def test_who_answers_in_place_of_the_service_is_quoted(classify: Classify) -> None:
    with replies(Reply(502, "<h1>Bad gateway</h1>"), Reply(200, "<h1>Welcome</h1>")) as server:
        with pytest.raises(EarshotError) as error:
            classify(server.address, b"sound")
        problem = error.value.problem
        assert (problem.status, problem.title) == (502, "Bad Gateway")
        assert problem.detail == "<h1>Bad gateway</h1>"
        with pytest.raises(EarshotError, match="not that of an Earshot service") as error:
            classify(server.address, b"sound")
        assert error.value.problem.detail == "<h1>Welcome</h1>"


def ignored(progress: Progress) -> None:
    pass


EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}
PROGRESS = 'event: progress\ndata: {"seconds": 2.5, "total": null, "mood": "blue"}\n\n'


@both
def test_progress_is_told_also_of_what_is_asked_again(classify: Classify) -> None:
    result = f"event: result\ndata: {json.dumps(ANSWER)}\n\n"
    reported: list[Progress] = []
    with replies(BUSY, Reply(200, PROGRESS * 2 + result, EVENTS)) as server:
        assert classify(server.address, b"sound", on_progress=reported.append).label == "siren"
    assert server.bodies == [b"sound"] * 2
    assert reported == [Progress(seconds=2.5, total=None)] * 2


@both
def test_events_that_are_no_answer_are_an_error(classify: Classify) -> None:
    script = [Reply(200, PROGRESS, EVENTS), Reply(200, "event: result\ndata: 5\n\n", EVENTS)]
    script += [Reply(200, "<h1>Welcome</h1>")]
    with replies(*script) as server:
        for detail in ("the events end without a result", "5", "<h1>Welcome</h1>"):
            with pytest.raises(EarshotError, match="not that of an Earshot service") as error:
                classify(server.address, b"sound", on_progress=ignored)
            assert error.value.problem.detail == detail


@both
def test_an_event_can_be_an_error(classify: Classify) -> None:
    problem = {"type": "/problems/corrupt", "title": "Damaged", "status": 422, "detail": "half"}
    event = f"event: error\r\ndata: {json.dumps(problem)}\r\n\r\n"
    with (
        replies(Reply(200, PROGRESS + event, EVENTS)) as server,
        pytest.raises(EarshotError, match="Damaged: half") as error,
    ):
        classify(server.address, b"sound", on_progress=ignored)
    assert error.value.problem.status == 422


@both
def test_who_knows_no_events_is_understood(classify: Classify) -> None:
    with replies(FINE) as server:
        assert classify(server.address, b"sound", on_progress=ignored).label == "siren"


def batch_waiting(server: str, files: list[AudioFile]) -> list[BatchLine]:
    with Client(server) as client:
        return list(client.classify_batch("urban-sound", files, top_k=1))


def batch_awaiting(server: str, files: list[AudioFile]) -> list[BatchLine]:
    async def ask() -> list[BatchLine]:
        async with AsyncClient(server) as client:
            return [line async for line in client.classify_batch("urban-sound", files, top_k=1)]

    return asyncio.run(ask())


BatchOf = Callable[[str, list[AudioFile]], list[BatchLine]]
both_batches = pytest.mark.parametrize("batch", [batch_waiting, batch_awaiting])


@both_batches
def test_a_batch_is_one_body_of_many_files(batch: BatchOf, tmp_path: Path) -> None:
    path = tmp_path / 'a "quoted"\nname.wav'
    path.write_bytes(b"from a path" * 10_000)
    file = io.BytesIO(b"head, from a file")
    file.seek(6)
    lines = [{"index": 1, "filename": "\u2028", "result": ANSWER}, {"index": 0, "filename": None}]
    body = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    with replies(BUSY, Reply(200, body[:-1])) as server:
        first, second = batch(server.address, [path, bytearray(b"from bytes"), file])
    assert (first.index, first.filename, second.index) == (1, "\u2028", 0)
    assert first.result is not None
    assert first.result.label == "siren"
    assert server.bodies[0] == server.bodies[1]
    boundary, *parts = server.bodies[0].split(b"\r\nContent-Disposition: form-data; ")
    contents = [part.removesuffix(b"\r\n" + boundary).split(b"\r\n\r\n") for part in parts]
    contents[2][1] = contents[2][1].removesuffix(b"\r\n" + boundary + b"--\r\n")
    octets = b"Content-Type: application/octet-stream"
    assert contents == [
        [
            b'name="file"; filename="a %22quoted%22%0Aname.wav"\r\n' + octets,
            b"from a path" * 10_000,
        ],
        [b'name="file"; filename="1"\r\n' + octets, b"from bytes"],
        [b'name="file"; filename="2"\r\n' + octets, b"from a file"],
    ]


@both_batches
def test_a_batch_stops_where_a_file_is_not_there(batch: BatchOf) -> None:
    with replies(FINE) as server, pytest.raises(FileNotFoundError):
        batch(server.address, [b"sound", "no/such/file.wav"])


def test_a_service_that_is_not_ready_is_not_asked_again() -> None:
    with replies(BUSY, BUSY, Reply(500)) as server, Client(server.address) as client:
        assert client.ready() is False
        assert asyncio.run(AsyncClient(server.address).ready()) is False
        assert len(server.bodies) == 2
        with pytest.raises(EarshotError, match="Internal Server Error: no reason is given"):
            client.ready()


def test_methods_look_like_their_operations() -> None:
    for client in (Client, AsyncClient):
        parameters = [*inspect.signature(client.explain).parameters]
        assert parameters == ["self", "task", "audio", "options"]
        assert inspect.signature(client.explain).return_annotation is Explanation
        assert (client.explain.__name__, client.explain.__doc__) == (
            "explain",
            operations.explain.__doc__,
        )


def test_both_clients_have_the_same_operations() -> None:
    names = {name for name in vars(Client) if not name.startswith("_")}
    assert names == {name for name in vars(AsyncClient) if not name.startswith("_")}
    assert names >= {"classify", "classify_batch", "explain", "spectrogram", "stream", "models"}


@both
def test_no_service_at_all_is_an_error_of_the_transport(classify: Classify) -> None:
    with replies() as server:
        pass
    with pytest.raises(httpx.ConnectError):
        classify(server.address, b"sound")


@both
def test_a_path_that_is_not_there_is_an_error_of_the_system(classify: Classify) -> None:
    with pytest.raises(FileNotFoundError):
        classify("http://127.0.0.1:1", "no/such/file.wav")


def stream_waiting(address: str, retries: int) -> None:
    with Client(address, retries=retries) as client:
        list(client.stream("urban-sound", [], sample_rate=16_000))


def stream_awaiting(address: str, retries: int) -> None:
    async def ask() -> None:
        async with AsyncClient(address, retries=retries) as client:
            async for _ in client.stream("urban-sound", [], sample_rate=16_000):
                pass

    asyncio.run(ask())


@pytest.mark.parametrize("stream", [stream_waiting, stream_awaiting])
def test_a_stream_is_opened_again_where_the_service_is_busy(
    stream: Callable[[str, int], None],
) -> None:
    missing = Reply(404, json.dumps({**json.loads(BUSY.body), "status": 404, "title": "None"}))
    with replies(BUSY, BUSY, missing) as server:
        with pytest.raises(EarshotError, match="None: too much"):
            stream(server.address, 3)
        assert len(server.bodies) == 3
    with replies(BUSY, BUSY) as server:
        with pytest.raises(EarshotError, match="Busy: too much"):
            stream(server.address, 1)
        assert len(server.bodies) == 2
