"""Uploads, in bodies that are cut into chunks at any place."""

import asyncio
import base64
import contextlib
import gc
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from app.api.admission import AdmissionController, AdmissionSlot, MemoryBudget, TransferTimeout
from app.api.multipart import FilePartParser
from app.api.problems import ProblemError
from app.api.routes import classify
from app.api.uploads import Upload, require_plain
from app.settings import Settings

BOUNDARY = b"----boundary"
ROUTE = next(iter(classify.router.routes))
LIMIT = 10_000
TIMEOUT = TransferTimeout(seconds=600, per_second=1)


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

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "route": ROUTE}
    return Request(scope, receive)


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
    return Upload(sent, AdmissionSlot(TIMEOUT, TIMEOUT, MemoryBudget(2 * LIMIT)), settings)


def read(chunks: Sequence[bytes], content_length: int | None = None) -> bytes:
    return asyncio.run(upload(request(chunks, content_length)).read_recording())


@given(
    content=st.binary(max_size=300) | st.just(b"\r\n--" + BOUNDARY[:-1]) | st.just(b"\r\n" * 50),
    cuts=st.lists(st.integers(0, 700), max_size=8),
    before=st.booleans(),
    preamble=st.sampled_from(
        [b"", b"\r\n", b"a form\r\n", b"--" + BOUNDARY[:-1] + b"\r\n\r\n\r\n"]
    ),
    blanks=st.text(" \t", max_size=5),
)
def test_the_file_is_what_was_sent_wherever_it_is_cut(
    content: bytes, cuts: list[int], before: bool, preamble: bytes, blanks: str
) -> None:
    """With all that RFC 2046 allows before the first delimiter, and behind each."""
    other = part("note", b"hello", filename=None)
    body = (other if before else b"") + part("file", content) + other + END
    delimiter = b"--" + BOUNDARY
    body = preamble + body.replace(delimiter + b"\r\n", delimiter + blanks.encode() + b"\r\n")
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
    first, second, clip = (AdmissionSlot(TIMEOUT, TIMEOUT, budget) for _ in range(3))
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
    slots = AdmissionController(2, TIMEOUT, TIMEOUT, budget := MemoryBudget(10 * MIB))
    with contextlib.suppress(ZeroDivisionError), slots.acquire() as slot:
        slot.reserve(9 * MIB)
        assert budget.used == 5 * MIB
        raise ZeroDivisionError
    assert budget.used == 0


@pytest.mark.parametrize("over", [False, True])
def test_of_a_form_just_the_file_is_held(over: bool) -> None:
    held = []
    parts = FilePartParser(BOUNDARY, LIMIT, held.append, max_parts=3)
    parts.feed(part("note", bytes(100), None) + part("file", bytes(LIMIT - 1)))
    parts.feed(part("file", bytes(LIMIT + over)) + END)
    assert sum(held) == LIMIT - 1 + (0 if over else LIMIT)


async def stall(slot: AdmissionSlot) -> None:
    async with slot.waiting_for_client():
        await asyncio.sleep(600)


def test_what_came_before_allows_for_no_longer_pause() -> None:
    slot = AdmissionSlot(TransferTimeout(0.05, 1), TIMEOUT, MemoryBudget(MIB))
    slot.count_received(10**9)
    with pytest.raises(ProblemError, match="never pause for more than") as error:
        asyncio.run(stall(slot))
    assert error.value.problem.type == "/problems/too-slow"


def test_a_stalled_upload_gives_its_memory_to_another_one() -> None:
    """Of two that stall, the one that did so first; one that does not is let alone."""
    budget = MemoryBudget(10 * MIB)
    hasty = TransferTimeout(0, 1)
    first, second = (AdmissionSlot(TIMEOUT, hasty, budget) for _ in range(2))
    patient, other = (AdmissionSlot(TIMEOUT, TIMEOUT, budget) for _ in range(2))

    async def run() -> list[BaseException | None]:
        waiting = []
        for slot in (first, second, patient):
            slot.reserve(7 * MIB)
            waiting.append(asyncio.create_task(stall(slot)))
            await asyncio.sleep(0.01)
        other.reserve(8 * MIB)  # 9 of 10 were in use: one of 3 has to go
        assert not waiting[1].done()
        with pytest.raises(ProblemError, match="leave no memory"):
            other.reserve(6 * MIB)  # the second goes too, and that is not enough
        other.reserve(3 * MIB)
        for task in waiting:
            await asyncio.sleep(0)
            if not task.done():
                task.get_loop().call_later(0.05, task.cancel)
        return await asyncio.gather(*waiting, return_exceptions=True)

    gone = asyncio.run(run())
    assert [type(error) for error in gone] == [ProblemError, ProblemError, asyncio.CancelledError]
    assert "another request needed its place" in str(gone[0])
    with pytest.raises(ProblemError, match="another request needed its place"):
        first.reserve(1)
    assert budget.used == 3 * MIB + 7 * MIB
    assert budget.holders == {patient, other}


def field(name: str) -> bytes:
    return part(name, b"", filename=None)


@pytest.mark.parametrize(("count", "accepted"), [(20, True), (21, False), (900, False)])
@pytest.mark.parametrize("chunk", [50, 1 << 20])
def test_a_form_has_few_parts(count: int, accepted: bool, chunk: int) -> None:
    body = part("file", b"x") + field("note") * count + END
    chunks = [body[start : start + chunk] for start in range(0, len(body), chunk)]
    if accepted:
        assert read(chunks) == b"x"
        return
    with pytest.raises(ProblemError, match="more than 21 parts") as error:
        read(chunks)
    assert error.value.problem.type == "/problems/malformed-multipart"


def test_names_are_not_repeated_at_length() -> None:
    with pytest.raises(ProblemError) as error:
        read([*(field(";" * 900 + str(n)) for n in range(20)), END])
    assert error.value.problem.type == "/problems/missing-file"
    assert "';;;;" in error.value.problem.detail
    assert len(error.value.problem.detail) < 2100
    with pytest.raises(ProblemError, match="cannot be parsed"):
        read([field(";" * 4000), END])


def test_a_batch_may_have_as_many_files_as_are_accepted_and_a_few_fields() -> None:
    async def read_files(others: int) -> int:
        sent = request([part("file", b"x") * 3 + field("note") * others + END])
        settings = Settings(max_batch_files=3)
        slot = AdmissionSlot(TIMEOUT, TIMEOUT, MemoryBudget(MIB))
        return len([file async for file in Upload(sent, slot, settings).read_files()])

    assert asyncio.run(read_files(20)) == 3
    with pytest.raises(ProblemError, match="more than 24 parts"):
        asyncio.run(read_files(22))


def test_a_form_that_is_broken_off_is_freed_at_once() -> None:
    """Not when the garbage collector comes by: a file is far more memory than objects."""
    freed = []

    class Reserve:
        def __call__(self, count: int) -> None:
            pass

        def __del__(self) -> None:
            freed.append(True)

    gc.collect()
    gc.disable()
    try:
        parser = FilePartParser(BOUNDARY, LIMIT, Reserve(), max_parts=1)
        parser.feed(part("file", bytes(LIMIT))[:-1])
        del parser
        assert freed
    finally:
        gc.enable()


def test_what_follows_a_delimiter_has_an_end() -> None:
    delimiter = b"--" + BOUNDARY
    for body in (b"x" * 70_000, delimiter + b" " * 5000 + b"\r\n"):
        with pytest.raises(ProblemError) as error:
            read([body, part("file", b"x"), END])
        assert error.value.problem.type == "/problems/malformed-multipart"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("filename*=UTF-8''na%C3%AFve%20dog.wav", "naïve dog.wav"),
        ("filename=\"naive.wav\"; filename*=utf-8'en'na%C3%AFve.wav", "naïve.wav"),
        ("filename*=iso-8859-1''na%EFve.wav; filename=\"a.wav\"", "naïve.wav"),
        ("filename*=UTF-8''%FF.wav; filename=\"a.wav\"", "a.wav"),
        ("filename*=koi8-r''%C1.wav; filename=\"a.wav\"", "a.wav"),
        ("filename*=UTF-8''" + "a" * 1000, "a" * 255),
    ],
)
def test_a_file_name_may_be_of_any_language(sent: str, expected: str) -> None:
    head = f'--{BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="file"; {sent}'
    parser = FilePartParser(BOUNDARY, LIMIT, lambda _: None, max_parts=1)
    [file] = parser.feed(head.encode() + b"\r\n\r\nx\r\n" + END)
    assert (file.filename, file.content) == (expected, b"x")


def test_a_file_is_there_as_soon_as_its_boundary_is() -> None:
    parser = FilePartParser(BOUNDARY, LIMIT, lambda _count: None, max_parts=2)
    body = part("file", b"x") + b"--" + BOUNDARY + b"\r\n"
    assert [file.content for file in parser.feed(body)] == [b"x"]


def read_json(body: bytes, settings_limit: int = LIMIT) -> tuple[tuple[bytes, bytes], int]:
    """Return what is read of a JSON body in small chunks, and the bytes that are reserved."""
    budget = MemoryBudget(10 * settings_limit)
    settings = Settings(max_upload_bytes=settings_limit, upload_memory_bytes=10 * settings_limit)
    slot = AdmissionSlot(TIMEOUT, TIMEOUT, budget)
    chunks = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    result = asyncio.run(Upload(request(chunks), slot, settings).read_json("inputs"))
    return result, slot._reserved


def test_a_recording_in_json_is_decoded_and_counted() -> None:
    content = bytes(range(256)) * 39
    body = json.dumps({"inputs": base64.b64encode(content).decode(), "parameters": {"top_k": 3}})
    (recording, rest), reserved = read_json(body.encode())
    assert (recording, json.loads(rest)) == (content, {"inputs": "", "parameters": {"top_k": 3}})
    assert reserved == len(content)


def test_a_recording_in_json_has_the_limit_of_an_upload() -> None:
    body = json.dumps({"inputs": base64.b64encode(bytes(LIMIT)).decode()}).encode()
    assert len(read_json(body)[0][0]) == LIMIT
    body = json.dumps({"inputs": base64.b64encode(bytes(LIMIT + 1)).decode()}).encode()
    with pytest.raises(ProblemError) as error:
        read_json(body)
    assert error.value.problem.type == "/problems/file-too-large"
    assert error.value.problem.detail == (
        "in JSON, recordings of up to 10000 bytes are accepted; send a larger one as the body"
    )


def test_what_is_no_base64_is_told() -> None:
    with pytest.raises(ProblemError) as error:
        read_json(b'{"inputs": "?"}')
    assert error.value.problem.type == "/problems/invalid-parameter"
    assert "base64" in error.value.problem.detail


@pytest.mark.parametrize(
    ("coding", "accepted"),
    [
        (None, True),
        ("identity", True),
        (" Identity ", True),
        ("gzip", False),
        ("identity, gzip", False),
        ("x" * 60, False),
    ],
)
def test_a_body_has_no_coding(coding: str | None, accepted: bool) -> None:
    sent = request([])
    if coding is not None:
        sent.scope["headers"].append((b"content-encoding", coding.encode()))
    if accepted:
        require_plain(sent)
        return
    with pytest.raises(ProblemError) as error:
        require_plain(sent)
    assert error.value.problem.type == "/problems/unsupported-media-type"
    assert error.value.problem.detail == (
        f"the body has the content encoding {coding[:50]!r}; send it as it is, without one"
    )
    assert error.value.headers == {"Accept-Encoding": "identity"}


def of_type(content_type: str | None, chunks: Sequence[bytes] = (b"sound",)) -> Request:
    sent = request(chunks)
    sent.scope["headers"] = (
        [] if content_type is None else [(b"content-type", content_type.encode())]
    )
    return sent


@pytest.mark.parametrize(
    "content_type",
    ["audio/wav", "Audio/X-Aiff; rate=8000", "video/webm", "application/octet-stream"],
)
def test_a_body_of_sound_is_the_recording(content_type: str) -> None:
    assert asyncio.run(upload(of_type(content_type)).read_recording()) == b"sound"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/json",
        "multipart/form-data",
        "multipart/mixed; boundary=x",
        # Its parsing takes a time that grows with its square.
        "audio/wav; " + "x" * 1014,
    ],
)
def test_another_content_type_is_told_what_is_accepted(content_type: str | None) -> None:
    with pytest.raises(ProblemError) as error:
        asyncio.run(upload(of_type(content_type)).read_recording())
    assert error.value.problem.type == "/problems/unsupported-media-type"
    assert error.value.problem.detail == (
        "send multipart/form-data with the recording in the field 'file', as "
        "`curl -F file=@clip.wav` does, or, to routes for a single recording, the recording as the "
        "body with the content type audio/* or application/octet-stream"
    )


def test_a_content_type_may_have_so_many_bytes() -> None:
    content_type = "audio/wav; " + "x" * 1013
    assert asyncio.run(upload(of_type(content_type)).read_recording()) == b"sound"


def test_one_recording_is_one_file() -> None:
    with pytest.raises(ProblemError) as error:
        read([part("file", b"a"), part("file", b"b"), END])
    assert error.value.problem.type == "/problems/malformed-multipart"
    assert error.value.problem.detail == ("the field 'file' occurs more than once; send one file")


@pytest.mark.parametrize(
    "chunks",
    [[part("file", bytes(LIMIT + 1)), END], [part("file", b"a"), *[bytes(LIMIT)] * 8, END]],
)
def test_the_limit_that_is_told_is_that_of_a_file(chunks: list[bytes]) -> None:
    with pytest.raises(ProblemError) as error:
        read(chunks)
    assert error.value.problem.type == "/problems/file-too-large"
    assert error.value.problem.detail == f"there are more than the {LIMIT} bytes that are accepted"
