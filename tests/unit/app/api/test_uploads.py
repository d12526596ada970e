"""Uploads, in bodies that are cut into chunks at any place."""

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from app.api.admission import AdmissionController, AdmissionSlot, MemoryBudget, UploadTimeout
from app.api.multipart import FilePartParser
from app.api.problems import ProblemError
from app.api.uploads import Upload
from app.settings import Settings

BOUNDARY = b"----boundary"
LIMIT = 10_000
TIMEOUT = UploadTimeout(seconds=600, bytes_per_second=1)


def part(name: str, content: bytes, filename: str | None = "clip.wav") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    head = f'Content-Disposition: form-data; name="{name}"{file}\r\n'
    return b"--" + BOUNDARY + b"\r\n" + head.encode() + b"\r\n" + content + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"


def request(chunks: Sequence[bytes], content_length: int | None = None) -> Request:
    headers = [(b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)]
    if content_length is not None:
        headers.append((b"content-length", str(content_length).encode()))
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def test_a_boundary_that_is_too_long_is_a_problem() -> None:
    sent = request([part("file", b"x"), END])
    boundary = b"multipart/form-data; boundary=" + b"b" * 300
    sent.scope["headers"] = [(b"content-type", boundary)]
    with pytest.raises(ProblemError) as error:
        asyncio.run(upload(sent).read_recording())
    assert error.value.problem.status == 400
    assert "300 exceeds" in error.value.problem.detail


def upload(sent: Request) -> Upload:
    settings = Settings(max_upload_bytes=LIMIT, upload_memory_bytes=2 * LIMIT)
    return Upload(sent, AdmissionSlot(TIMEOUT, MemoryBudget(2 * LIMIT)), settings)


def read(chunks: Sequence[bytes], content_length: int | None = None) -> bytes:
    return asyncio.run(upload(request(chunks, content_length)).read_recording())


@given(
    content=st.binary(max_size=300) | st.just(b"\r\n--" + BOUNDARY[:-1]) | st.just(b"\r\n" * 50),
    cuts=st.lists(st.integers(0, 700), max_size=8),
    before=st.booleans(),
)
def test_the_file_is_what_was_sent_wherever_it_is_cut(
    content: bytes, cuts: list[int], before: bool
) -> None:
    other = part("note", b"hello", filename=None)
    body = (other if before else b"") + part("file", content) + other + END
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[start:stop] for start, stop in pairwise(edges)]
    assert read(chunks) == content


@pytest.mark.parametrize(("size", "accepted"), [(LIMIT, True), (LIMIT + 1, False)])
def test_the_limit_is_exact(size: int, accepted: bool) -> None:
    chunks = [part("file", bytes(size)), END]
    if accepted:
        assert len(read(chunks)) == size
    else:
        with pytest.raises(ProblemError) as error:
            read(chunks)
        assert error.value.problem.status == 413


def test_other_fields_count_towards_the_body() -> None:
    with pytest.raises(ProblemError) as error:
        read([part("other", bytes(200_000)), part("file", b"x"), END])
    assert error.value.problem.status == 413


def test_a_declared_length_over_the_limit_is_refused_before_reading() -> None:
    with pytest.raises(ProblemError) as error:
        read([], content_length=1_000_000)
    assert error.value.problem.status == 413


@given(st.binary(max_size=400))
def test_any_other_body_is_a_problem(body: bytes) -> None:
    with pytest.raises(ProblemError) as error:
        read([b"--" + BOUNDARY + body])
    assert error.value.problem.status in (400, 422)


def read_raw(chunks: Sequence[bytes], content_length: int | None = None) -> bytes:
    return asyncio.run(upload(request(chunks, content_length)).read_body())


def test_a_body_of_the_limit_is_read_whole() -> None:
    assert read_raw([b"RIFF" * 1000, b"", b"data" * 1500]) == b"RIFF" * 1000 + b"data" * 1500
    assert len(read_raw([bytes(LIMIT)], content_length=LIMIT)) == LIMIT


@pytest.mark.parametrize(("chunks", "declared"), [([bytes(LIMIT), b"x"], None), ([], LIMIT + 1)])
def test_a_body_over_the_limit_is_refused(chunks: list[bytes], declared: int | None) -> None:
    with pytest.raises(ProblemError) as error:
        read_raw(chunks, declared)
    assert error.value.problem.status == 413
    assert "10000 bytes" in error.value.problem.detail


MIB = 1 << 20


def test_uploads_find_memory_until_they_hold_too_much_together() -> None:
    budget = MemoryBudget(10 * MIB)
    first, second, clip = (AdmissionSlot(TIMEOUT, budget) for _ in range(3))
    first.reserve(8 * MIB)  # 4 of it are not counted
    second.reserve(10 * MIB)
    with pytest.raises(ProblemError) as error:
        second.reserve(1)
    assert error.value.problem.type == "/problems/overloaded"
    clip.reserve(4 * MIB)
    first.release()
    second.reserve(3 * MIB)
    second.reserve(-13 * MIB)
    second.release()
    clip.release()
    assert budget.used == 0


def test_memory_is_free_again_once_a_request_is_over() -> None:
    slots = AdmissionController(2, TIMEOUT, budget := MemoryBudget(10 * MIB))
    with contextlib.suppress(ZeroDivisionError), slots.acquire() as slot:
        slot.reserve(9 * MIB)
        assert budget.used == 5 * MIB
        raise ZeroDivisionError
    assert budget.used == 0


@pytest.mark.parametrize("over", [False, True])
def test_of_a_form_just_the_file_is_held(over: bool) -> None:
    held = []
    parts = FilePartParser(BOUNDARY, LIMIT, held.append)
    parts.feed(part("note", bytes(100), None) + part("file", bytes(LIMIT - 1)))
    parts.feed(part("file", bytes(LIMIT + over)) + END)
    assert sum(held) == LIMIT - 1 + (0 if over else LIMIT)
