"""`POST /classify/{task}/batch` over a real socket."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

from tests.e2e.test_classify import problem
from tests.support.encoders import encode_av
from tests.support.serving import ServerClient, serve
from tests.support.sounds import RATE, SOUNDS, encode, make

BATCH = "/classify/urban-sound/batch"


def lines(response: httpx.Response) -> list[dict]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{i}.wav", content)) for i, content in enumerate(contents)]


def test_every_file_has_a_line_of_its_own(client: httpx.Client) -> None:
    labels = list(SOUNDS) * 3
    clips = [encode(make(label, 60_000 + i)) for i, label in enumerate(labels)]
    found = lines(client.post(BATCH, files=files(*clips), params={"top_k": 2}))
    assert sorted(line["index"] for line in found) == list(range(len(clips)))
    for line in found:
        alone = client.post("/classify/urban-sound", files={"file": clips[line["index"]]}).json()
        assert line["filename"] == f"{line['index']}.wav"
        assert line["result"]["label"] == labels[line["index"]] == alone["label"]
        assert len(line["result"]["ranked"]) == 2


def test_a_bad_file_fails_alone(client: httpx.Client) -> None:
    good = encode(make("siren", 1))
    large = encode(np.tile(make("siren", 1), 40))
    found = lines(client.post(BATCH, files=files(good, b"a poem", large, b"", good)))
    kinds = {line["index"]: line.get("problem", {}).get("type") for line in found}
    assert kinds == {
        0: None,
        1: "/problems/unsupported-format",
        2: "/problems/file-too-large",
        3: "/problems/empty",
        4: None,
    }


def test_a_broken_request_keeps_the_answers_before_it(client: httpx.Client) -> None:
    head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + encode(make("siren", 1)) + b"\r\n" + head + b"no end"
    headers = {"content-type": "multipart/form-data; boundary=cut"}
    first, last = lines(client.post(BATCH, content=body, headers=headers))
    assert first["result"]["label"] == "siren"
    assert last["problem"]["type"] == "/problems/malformed-multipart"
    assert last["index"] is None


def test_answers_come_before_the_request_has_ended(client: httpx.Client) -> None:
    head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    part = head + encode(make("siren", 1)) + b"\r\n"
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(
            f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: multipart/form-data; boundary=cut\r\n\r\n".encode()
        )
        for _ in range(2):  # the second one's head tells that the first one has ended
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        received = b""
        while b'"label":"siren"' not in received:
            received += connection.recv(65_536)
        assert received.startswith(b"HTTP/1.1 200 OK")
        end = b"--cut--\r\n"
        connection.sendall(f"{len(end):x}\r\n".encode() + end + b"\r\n0\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(65_536)
        assert received.count(b'"index":') == 2


def test_too_many_files_are_refused_and_those_before_answered(trained_store: Path) -> None:
    with serve(models_dir=trained_store, max_batch_files=3) as client:
        found = lines(client.post(BATCH, files=files(*[encode(make("siren", 1))] * 5)))
        assert sorted(line["index"] for line in found if "result" in line) == [0, 1, 2]
        assert found[-1]["problem"]["type"] == "/problems/too-many-files"
        assert "at most 3 files" in found[-1]["problem"]["detail"]


def test_ten_thousand_tiny_files_do_no_harm(client: httpx.Client) -> None:
    def body() -> Iterator[bytes]:
        for i in range(10_000):
            head = f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{i}"\r\n\r\n'
            yield head.encode() + b"x\r\n"
        yield b"--cut--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=cut"}
    found = lines(client.post(BATCH, content=body(), headers=headers))
    assert len(found) == 1001
    assert found[-1]["problem"]["type"] == "/problems/too-many-files"
    assert client.get("/readyz").status_code == 200


def test_what_is_no_form_is_told_how_to_send(client: httpx.Client) -> None:
    response = client.post(BATCH, content=encode(make("siren", 1), RATE))
    assert "curl -F file=@clip.wav" in problem(response, 415, "unsupported-media-type")
    response = client.post("/classify/whales/batch", files=files(b"x"))
    problem(response, 404, "unknown-task")


class Batch:
    """A batch that is sent file by file, while its answers come."""

    def __init__(self, client: ServerClient) -> None:
        address = (client.base_url.host, client.base_url.port)
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.sendall(
            f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: multipart/form-data; boundary=cut\r\n\r\n".encode()
        )

    def part(self, content: bytes) -> bytes:
        """A file, as a chunk of the body."""
        head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        body = head + content + b"\r\n"
        return f"{len(body):x}\r\n".encode() + body + b"\r\n"

    def read_until(self, words: bytes) -> bytes:
        found = b""
        while words not in found:
            received = self.socket.recv(65_536)
            assert received, found
            found += received
        return found


def test_a_file_that_was_answered_takes_no_memory(siren_store: Path) -> None:
    """Six of them take five times as much together as all uploads may."""
    large = encode(make("siren", 1)) + bytes(9 << 20)  # behind the end of the file: let alone
    with serve(
        models_dir=siren_store, max_upload_bytes=12 << 20, upload_memory_bytes=12 << 20
    ) as client:
        batch = Batch(client)
        for number in range(6):
            # The next boundary ends a file: it comes with the next one.
            batch.socket.sendall(batch.part(large) + batch.part(b""))
            answer = batch.read_until(f'"index":{2 * number},'.encode())
            while b"\n" not in answer.partition(f'"index":{2 * number},'.encode())[2]:
                answer += batch.socket.recv(65_536)
            assert b'"label":"siren"' in answer
        batch.socket.close()


def test_few_files_of_a_batch_are_held_while_none_is_answered(siren_store: Path) -> None:
    file = encode_av(make("siren", 1)[:, None], RATE, "ipod", "aac") + bytes(1 << 20)
    with serve(models_dir=siren_store, decoder_processes=1) as client:
        assert client.post("/classify/urban-sound", files={"file": file}).status_code == 200
        (decoder,) = client.children()
        os.kill(decoder, signal.SIGSTOP)
        try:
            batch = Batch(client)
            batch.socket.settimeout(3)
            sent = 0
            with contextlib.suppress(TimeoutError):
                for _ in range(100):
                    batch.socket.sendall(batch.part(file))
                    sent += 1
            # Four, one that waits, and what the system holds of a connection.
            assert 4 <= sent < 40
            batch.socket.close()
        finally:
            os.kill(decoder, signal.SIGCONT)


def test_who_knows_no_lines_of_json_gets_text(client: httpx.Client) -> None:
    for accepted, kind in (
        ("text/plain", "text/plain; charset=utf-8"),
        ("application/x-ndjson, text/plain", "application/x-ndjson"),
        ("*/*", "application/x-ndjson"),
    ):
        sound = files(encode(make("siren", 1)))
        response = client.post(BATCH, files=sound, headers={"Accept": accepted})
        assert response.headers["content-type"] == kind
        assert json.loads(response.text)["result"]["label"] == "siren"
