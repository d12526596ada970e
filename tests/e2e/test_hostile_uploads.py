"""Uploads that attack: what they hold is little, counted, and given back. Real sockets."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.hostile.flac import silent_flac
from bench.servers import resident_bytes
from tests.e2e.test_classify import problem
from tests.e2e.test_hostile_streams import in_flight
from tests.e2e.test_lifecycle import SIREN, URBAN, Unfinished, until
from tests.support.serving import ServerClient, serve

MEGABYTE = 1_000_000
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
FLAC = {"Content-Type": "audio/flac"}
FORM = "multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def service(siren_store: Path) -> Iterator[ServerClient]:
    with serve(models_dir=siren_store) as client:
        assert client.post(URBAN, files={"file": SIREN}).status_code == 200
        yield client


@pytest.mark.parametrize("path", [URBAN, f"{URBAN}/batch"])
def test_forms_that_are_broken_off_leave_nothing_behind(service: ServerClient, path: str) -> None:
    """Twenty of 60 MB each, and the memory is what it was before, but for a tenth."""

    def break_off() -> None:
        form = Unfinished(service, path, FORM, 100 * MEGABYTE)
        form.send(PART)
        for _ in range(60):
            form.send(bytes(MEGABYTE))
        form.close()

    break_off()
    until(lambda: resident_bytes(service.process_id) < 400 * MEGABYTE)
    before = resident_bytes(service.process_id)
    for _ in range(20):
        break_off()
    until(lambda: resident_bytes(service.process_id) < 1.1 * before)


def test_json_is_refused_before_it_becomes_objects(service: ServerClient) -> None:
    before = resident_bytes(service.process_id)
    body = b'{"inputs":[' + b"[]," * 9_000_000 + b"[]]}"
    with contextlib.suppress(OSError):  # the answer may come, and the end, before all was sent
        response = service.post(
            "/hf/urban-sound", content=body, headers={"Content-Type": "application/json"}
        )
        detail = problem(response, 422, "invalid-parameter")
        assert "more than 4096 bytes beside the recording in inputs" in detail
    assert service.peak_memory() - before < 20 * MEGABYTE


def test_a_recording_in_json_is_a_clip(service: ServerClient) -> None:
    response = service.post("/hf/urban-sound", json={"inputs": "A" * (24 << 20)})
    assert "16777216 bytes" in problem(response, 413, "file-too-large")


@pytest.mark.parametrize(
    ("size", "what"), [(60, "parts of a form"), (4000, "a name"), (60_000, "a name")]
)
def test_forms_of_semicolons_are_refused_at_once(
    service: ServerClient, size: int, what: str
) -> None:
    """Parsing them took a time that grew with the square of their length, and they came back."""
    part = b'--x\r\nContent-Disposition: form-data; name="' + b";" * size + b'"\r\n\r\n\r\n'
    response = service.post(
        URBAN, content=part * (8 * MEGABYTE // size), headers={"Content-Type": FORM}
    )
    assert "cannot be parsed" in problem(response, 400, "malformed-multipart")
    assert len(response.content) < 1000
    assert response.elapsed.total_seconds() < 10


def test_a_media_type_of_semicolons_is_none(service: ServerClient) -> None:
    headers = {"Content-Type": "multipart/form-data" + ";" * 60_000}
    response = service.post(URBAN, content=b"", headers=headers)
    problem(response, 415, "unsupported-media-type")


def test_what_errors_repeat_is_cut(service: ServerClient) -> None:
    long = "x" * 50_000
    for path, query in (
        ("/genres", {"limit": long}),
        ("/recording", {"genre": long}),
        ("/models", {}),
    ):
        assert len(service.get(path, params=query).content) < 5000
    for task, query in ((long, {}), ("urban-sound", {"checkpoint": long, "top_k": "1"})):
        response = service.post(f"/classify/{task}", params=query, files={"file": SIREN})
        assert response.status_code in (404, 422)
        assert len(response.content) < 1000
        assert "urban-sound" in response.text  # what would be right is still there


def test_work_ends_with_its_client_and_the_process_with_sigterm(siren_store: Path) -> None:
    """Sixty recordings of ten minutes in 100 kB, whose clients are gone at once, on two threads."""
    bomb = silent_flac(599, 96_000, 8)
    with serve(models_dir=siren_store, threads=2, decoder_processes=1) as client:
        answer = client.post("/spectrogram", content=bomb, headers=FLAC)
        assert "the recording has more than" in problem(answer, 422, "recording-too-long")
        bomb = silent_flac(599, 48_000, 2)
        problem(client.post("/spectrogram", content=bomb, headers=FLAC), 422, "silent")
        threads, memory = count_threads(client), resident_bytes(client.process_id)
        for _ in range(60):
            request = Unfinished(client, "/spectrogram", "audio/flac", len(bomb))
            request.send(bomb)
            request.close()
        until(lambda: in_flight(client) == 0)
        assert count_threads(client) <= threads + 3
        assert client.peak_memory() - memory < 250 * MEGABYTE
        assert client.post(URBAN, files={"file": SIREN}).json()["label"] == "siren"
        waiting = [Unfinished(client, "/spectrogram", "audio/flac", len(bomb)) for _ in range(8)]
        for request in waiting:
            request.send(bomb)
        until(lambda: in_flight(client) == 8)
        for request in waiting:
            request.close()
        client.signal(signal.SIGTERM)
        assert client.wait() == 0


def count_threads(client: ServerClient) -> int:
    return sum(1 for _ in Path(f"/proc/{client.process_id}/task").iterdir())


def test_while_the_process_has_too_much_memory_others_wait(siren_store: Path) -> None:
    """Whatever holds it: here uploads that their own limit would let pass."""
    with serve(models_dir=siren_store, memory_bytes=512 << 20) as client:
        assert client.post(URBAN, files={"file": SIREN}).status_code == 200
        held = [Unfinished(client, URBAN, "audio/wav", 300 * MEGABYTE) for _ in range(2)]
        for each in held:
            for _ in range(200):
                each.send(bytes(MEGABYTE))
        until(lambda: client.post(URBAN, files={"file": SIREN}).status_code == 503)
        refused = client.post(URBAN, files={"file": SIREN})
        detail = problem(refused, 503, "overloaded")
        assert "more than the 537 MB of EARSHOT_MEMORY_BYTES" in detail
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get("/healthz").status_code == 200
        for each in held:
            each.close()
        until(lambda: client.post(URBAN, files={"file": SIREN}).status_code == 200)
