"""Files and the processes that decode them, seen from outside."""

import fcntl
import os
import signal
import socket
import struct
import termios
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.encoders import encode_av
from tests.support.serving import ServerClient, serve
from tests.support.sounds import RATE, encode, make

URBAN = "/classify/urban-sound"
SIREN = make("siren", 1)[:, None]
WAV = encode(SIREN)
M4A = encode_av(SIREN, RATE, "ipod", "aac")
LONG = encode_av(np.tile(SIREN, (90, 1)), RATE, "ipod", "aac")
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def client(siren_store: Path) -> Iterator[ServerClient]:
    """A client of a server with one decoder."""
    with serve(models_dir=siren_store, decoder_processes=1) as client:
        yield client


def post(client: httpx.Client, data: bytes) -> httpx.Response:
    return client.post(URBAN, content=data, headers={"Content-Type": "audio/x"})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_a_file(process_id: int) -> bool:
    """Whether something is sent to a process that does not read it."""
    with Path(f"/proc/{process_id}/fd/0").open("rb", buffering=0) as pipe:
        (waiting,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return waiting > 0


def test_a_decoder_starts_with_the_first_file_that_needs_it(siren_store: Path) -> None:
    with serve(models_dir=siren_store) as client:
        assert post(client, WAV).json()["label"] == "siren"
        assert client.children() == []
        assert post(client, M4A).json()["audio"]["format"] == "mp4"
        assert len(client.children()) == 1


def test_a_decoder_that_is_killed_costs_one_request(client: ServerClient) -> None:
    assert post(client, M4A).status_code == 200
    (decoder,) = client.children()
    os.kill(decoder, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        lost = threads.submit(post, client, M4A)
        until(lambda: has_a_file(decoder))
        waiting = threads.submit(post, client, M4A)
        assert post(client, WAV).json()["label"] == "siren"
        os.kill(decoder, signal.SIGKILL)
        assert waiting.result().json()["label"] == "siren"
        problem = lost.result()
    assert (problem.status_code, problem.json()["type"]) == (422, "/problems/undecodable")
    assert "broke down over the file" in problem.json()["detail"]
    assert problem.headers["content-type"] == "application/problem+json"
    assert len(client.children()) == 1


def test_a_decoder_that_hangs_costs_one_request(siren_store: Path) -> None:
    with serve(models_dir=siren_store, decoder_processes=1, decode_timeout_seconds=1) as client:
        assert post(client, M4A).status_code == 200
        (decoder,) = client.children()
        os.kill(decoder, signal.SIGSTOP)
        problem = post(client, M4A)
        assert (problem.status_code, problem.json()["type"]) == (422, "/problems/undecodable")
        assert "longer than the 1 s" in problem.json()["detail"]
        assert post(client, M4A).status_code == 200
        assert decoder not in client.children()


def test_recordings_that_wait_for_a_decoder_hold_no_thread(siren_store: Path) -> None:
    """Each long one needs the thread again and again while the next ones wait for the decoder."""
    with (
        serve(models_dir=siren_store, decoder_processes=1, threads=1) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        answers = list(threads.map(lambda data: post(client, data), [LONG, M4A, WAV, LONG] * 2))
        assert [answer.status_code for answer in answers] == [200] * 8
        assert len(client.children()) == 1


def test_a_client_that_goes_away_frees_the_decoder(client: ServerClient) -> None:
    assert post(client, M4A).status_code == 200
    (decoder,) = client.children()
    os.kill(decoder, signal.SIGSTOP)
    with socket.create_connection((client.base_url.host, client.base_url.port)) as gone:
        head = f"POST {URBAN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/x\r\n"
        gone.sendall(f"{head}Content-Length: {len(LONG)}\r\n\r\n".encode() + LONG)
        until(lambda: has_a_file(decoder))
    os.kill(decoder, signal.SIGCONT)
    assert post(client, M4A).json()["label"] == "siren"


def test_decoders_end_with_the_server(siren_store: Path) -> None:
    with serve(models_dir=siren_store) as client:
        post(client, M4A)
        (decoder,) = client.children()
        client.signal(signal.SIGKILL)
        client.wait()
    until(lambda: not _command(decoder))


def _command(process_id: int) -> bytes:
    """Empty once a process has ended, though nobody may have noticed."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
