"""`POST /classify/{task}` in Server-Sent Events, over a real socket."""

import asyncio
import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from httpx_sse import EventSource, ServerSentEvent

from app.inference.engine import MAX_BATCH_SIZE
from earshot import AsyncClient, Client, EarshotError
from earshot.schemas import Classification, Progress
from tests.e2e.test_classify import HEAD, MULTIPART, OCTETS, URBAN, WAV, problem
from tests.e2e.test_lifecycle import until
from tests.support.serving import ServerClient, serve
from tests.support.sounds import RATE, encode, make

EVENTS = {"accept": "text/event-stream"}
SECONDS = 48
LONG = encode(np.tile(np.concatenate([make("siren", 7), make("drilling", 8)]), SECONDS // 4))


@pytest.fixture(scope="module")
def client(siren_store: Path) -> Iterator[ServerClient]:
    with serve(models_dir=siren_store, max_upload_bytes=2_000_000) as client:
        yield client


@pytest.fixture(scope="module")
def half_a_day() -> bytes:
    """A recording that is listened to for longer than any of the tests wait."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 4_000, 1, format="FLAC") as flac:
        for _ in range(12):
            flac.write(np.zeros(3600 * flac.samplerate, np.float32))
    return file.getvalue()


def events(client: httpx.Client, data: bytes, **query: str) -> list[ServerSentEvent]:
    with client.stream(
        "POST", URBAN, files={"file": data}, params=query, headers=EVENTS
    ) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        return list(EventSource(response).iter_sse())


def test_progress_comes_before_the_answer_of_the_plain_route(client: httpx.Client) -> None:
    *progress, answer = events(client, LONG, hop_seconds="1", top_k="2")
    assert {event.event for event in progress} == {"progress"}
    assert answer.event == "result"
    query = {"hop_seconds": "1", "top_k": "2"}
    assert answer.json() == client.post(URBAN, files={"file": LONG}, params=query).json()
    heard = [event.json() for event in progress]
    # Blocks of eight clips of 2 s, a second apart, and what is left.
    assert [each["seconds"] for each in heard] == [9, 17, 25, 33, 41, 48]
    assert {each["total"] for each in heard} == {SECONDS}


def test_a_short_recording_has_one_event_of_progress(client: httpx.Client) -> None:
    progress, answer = events(client, WAV)
    assert progress.json() == {"seconds": 2, "total": 2}
    assert answer.json()["label"] == "siren"


def test_the_whole_length_may_be_unknown(client: httpx.Client) -> None:
    """An MP3 without a head that counts its frames."""
    mp3 = encode(make("siren", 1), RATE, "MP3")
    head = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    assert head > 0
    progress, answer = events(client, mp3[:head] + b"none" + mp3[head + 4 :])
    assert progress.json()["total"] is None
    assert progress.json()["seconds"] == answer.json()["audio"]["seconds"]


@pytest.mark.parametrize(
    "accept", ["Text/Event-Stream; q=0.9", "application/json, text/event-stream"]
)
def test_accept_has_to_name_them(client: httpx.Client, accept: str) -> None:
    headers = {"content-type": OCTETS, "accept": accept}
    response = client.post(URBAN, content=WAV, headers=headers)
    assert response.text.startswith('event: progress\ndata: {"seconds":2.0,"total":2.0}\n\n')
    for other in ("*/*", "text/*", "application/json"):
        response = client.post(URBAN, content=WAV, headers=headers | {"accept": other})
        assert response.json()["label"] == "siren"


def test_what_goes_wrong_before_there_is_progress_has_its_status(client: httpx.Client) -> None:
    def post(content: bytes, kind: str = OCTETS, **query: str) -> httpx.Response:
        headers = EVENTS | {"content-type": kind}
        return client.post(URBAN, content=content, params=query, headers=headers)

    problem(post(b"a poem" * 99), 415, "unsupported-format")
    problem(post(WAV[:20_000]), 422, "corrupt")
    problem(post(bytes(2_000_001)), 413, "file-too-large")
    problem(post(WAV, "text/plain"), 415, "unsupported-media-type")
    problem(post(HEAD + WAV, MULTIPART["content-type"]), 400, "malformed-multipart")
    problem(post(WAV, top_k="0"), 422, "invalid-parameter")
    problem(post(WAV, window="hamming"), 422, "invalid-parameter")


# Whole at first: half a minute is heard before the damage.
DAMAGED = bytearray(encode(np.tile(make("siren", 7), 48), RATE, "FLAC"))
DAMAGED[-5_000:] = bytes(5_000)


def test_what_goes_wrong_later_is_an_event_and_counted(client: httpx.Client) -> None:

    def refused() -> float:
        return figure(client, 'earshot_problems_total{type="corrupt"}')

    before = refused()
    first, *_, last = events(client, bytes(DAMAGED))
    assert first.event == "progress"
    assert last.event == "error"
    found = last.json()
    assert (found["type"], found["status"]) == ("/problems/corrupt", 422)
    plain = client.post(URBAN, files={"file": bytes(DAMAGED)})
    assert found["detail"] == problem(plain, 422, "corrupt")
    assert found["request_id"]
    assert refused() == before + 2


def classify_waiting(address: str, content: bytes, reported: list[Progress]) -> Classification:
    with Client(address) as client:
        return client.classify("urban-sound", content, on_progress=reported.append)


def classify_awaiting(address: str, content: bytes, reported: list[Progress]) -> Classification:
    async def ask() -> Classification:
        async with AsyncClient(address) as client:
            return await client.classify("urban-sound", content, on_progress=reported.append)

    return asyncio.run(ask())


@pytest.mark.parametrize("classify", [classify_waiting, classify_awaiting])
def test_the_clients_are_told(
    client: ServerClient, classify: Callable[..., Classification]
) -> None:
    address, reported = str(client.base_url), []
    answer = classify(address, LONG, reported)
    assert answer.model_dump(exclude_defaults=True) == json.loads(
        client.post(URBAN, files={"file": LONG}).text
    )
    # Blocks of eight clips of 2 s, a second apart.
    assert [each.seconds for each in reported] == [9, 17, 25, 33, 41, 48]
    assert {each.total for each in reported} == {SECONDS}
    with pytest.raises(EarshotError, match=r"declares 96\.00 s of sound and holds 95") as error:
        classify(address, bytes(DAMAGED), reported)
    assert (error.value.problem.status, len(reported) > 6) == (422, True)
    with pytest.raises(EarshotError) as error:
        classify(address, b"a poem" * 99, reported)
    assert error.value.problem.type == "/problems/unsupported-format"


def figure(client: httpx.Client, name: str) -> float:
    """A figure of `/metrics`, 0 where there is none."""
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def stream(client: httpx.Client, content: bytes) -> Iterator[str]:
    """The lines of an answer that takes long; closed, the connection is too."""
    headers = EVENTS | {"content-type": OCTETS}
    with httpx.stream(
        "POST",
        client.base_url.join(URBAN),
        content=content,
        params={"hop_seconds": "0.25"},
        headers=headers,
        timeout=60,
    ) as response:
        yield from response.iter_lines()


def test_a_client_that_goes_away_stops_the_work(siren_store: Path, half_a_day: bytes) -> None:
    with serve(
        models_dir=siren_store, max_requests=1, max_seconds=50_000, request_timeout_seconds=3600
    ) as client:
        lines = stream(client, half_a_day)
        assert next(lines) == "event: progress"
        problem(client.post(URBAN, files={"file": WAV}), 503, "overloaded")
        lines.close()
        until(lambda: client.post(URBAN, files={"file": WAV}).status_code == 200)
        # Two seconds, and nothing of the half day.
        assert figure(client, "earshot_audio_seconds_total") == 2
        before = figure(client, "earshot_batch_clips_sum")
        for _ in range(10):
            assert client.post(URBAN, files={"file": WAV}).status_code == 200
        # A clip each, and a block that the network had already.
        assert figure(client, "earshot_batch_clips_sum") - before <= 10 + MAX_BATCH_SIZE


def test_the_deadline_holds(siren_store: Path, half_a_day: bytes) -> None:
    with serve(models_dir=siren_store, request_timeout_seconds=5, max_seconds=50_000) as client:
        *_, name, data, _ = stream(client, half_a_day)
        assert name == "event: error"
        assert json.loads(data.removeprefix("data: "))["type"] == "/problems/deadline"
        assert figure(client, 'earshot_problems_total{type="deadline"}') == 1


def test_a_server_that_stops_finishes_what_has_begun(siren_store: Path) -> None:
    with serve(models_dir=siren_store) as client:
        with client.stream("POST", URBAN, files={"file": LONG}, headers=EVENTS) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: progress"
            client.signal(signal.SIGTERM)
            assert "event: result" in list(lines)
        client.wait()


def test_a_server_that_can_wait_no_longer_says_so(siren_store: Path, half_a_day: bytes) -> None:
    with serve(models_dir=siren_store, shutdown_timeout_seconds=1, max_seconds=50_000) as client:
        lines = stream(client, half_a_day)
        assert next(lines) == "event: progress"
        client.signal(signal.SIGTERM)
        *_, name, data, _ = lines
        assert name == "event: error"
        assert json.loads(data.removeprefix("data: "))["type"] == "/problems/draining"
        client.wait()
