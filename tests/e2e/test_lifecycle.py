"""How the service ends and changes: nothing that was accepted is lost. Real processes, signals."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from app.api.api_keys import make_key
from bench.servers import free_port
from tests.e2e.test_classify import problem
from tests.e2e.test_stream import pcm
from tests.support.serving import ServerClient, serve
from tests.support.small_store import save_constant, save_endless
from tests.support.sounds import encode, make

SIREN = encode(make("siren", 1))
URBAN = "/classify/urban-sound"
WAV = {"Content-Type": "audio/wav"}
PATIENCE_SECONDS = 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save_constant(tmp_path / "store", "siren")
    return tmp_path / "store"


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Unfinished:
    """A request whose body is yet to come."""

    def __init__(
        self, client: ServerClient, path: str, media_type: str, size: int, *more: str
    ) -> None:
        host, port = client.base_url.host, client.base_url.port
        self._socket = socket.create_connection((host, port), timeout=PATIENCE_SECONDS)
        head = (
            f"POST {path} HTTP/1.1",
            f"Host: {host}:{port}",
            f"Content-Type: {media_type}",
            f"Content-Length: {size}",
            *more,
        )
        self._socket.sendall("\r\n".join([*head, "", ""]).encode())

    def await_continue(self) -> None:
        """Wait until the service begins to read the body (RFC 9110, section 10.1.1)."""
        assert self._socket.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def send(self, body: bytes) -> None:
        self._socket.sendall(body)

    def close(self) -> None:
        self._socket.close()

    def answer(self) -> HTTPResponse:
        response = HTTPResponse(self._socket)
        response.begin()
        return response


def accepted(client: ServerClient, *headers: str) -> Unfinished:
    request = Unfinished(client, URBAN, "audio/wav", len(SIREN), "Expect: 100-continue", *headers)
    request.await_continue()
    return request


def is_closed(client: ServerClient) -> bool:
    try:
        socket.create_connection((client.base_url.host, client.base_url.port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_was_accepted_is_answered_after_the_listener_has_closed(root: Path) -> None:
    part = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    part += SIREN + b"\r\n--x"
    first, second = b"--x\r\n" + part + b"\r\n", part + b"--\r\n"
    # The rest of the batch is sent once its beginning is answered, however long that takes.
    with serve(models_dir=root, client_timeout_seconds=PATIENCE_SECONDS) as client:
        requests = [accepted(client) for _ in range(4)]
        size = len(first) + len(second)
        batch = Unfinished(client, f"{URBAN}/batch", "multipart/form-data; boundary=x", size)
        batch.send(first)
        lines = batch.answer()
        assert json.loads(lines.readline())["result"]["label"] == "siren"
        with connect(
            f"ws://{client.base_url.netloc.decode()}/stream/urban-sound?sample_rate=16000"
        ) as live:
            live.send(pcm(make("siren", 1, seconds=1.0)))
            assert json.loads(live.recv(timeout=PATIENCE_SECONDS))["label"] == "siren"
            client.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                live.recv(timeout=PATIENCE_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        until(lambda: is_closed(client))
        for request in requests:
            request.send(SIREN)
            answer = request.answer()
            assert (answer.status, json.load(answer)["label"]) == (200, "siren")
        batch.send(second)
        assert json.loads(lines.readline())["result"]["label"] == "siren"
        assert lines.read() == b""
        assert client.wait() == 0


def test_not_ready_first_closed_later_and_cut_off_at_last(root: Path) -> None:
    with serve(models_dir=root, drain_seconds=600, shutdown_timeout_seconds=1) as client:
        assert "connection" not in client.get("/readyz").headers
        stuck = accepted(client)
        client.signal(signal.SIGTERM)
        until(lambda: client.get("/readyz").status_code == 503)
        client.signal(signal.SIGTERM)  # a second one hurries nothing
        refusal = client.get("/readyz")
        assert "no more requests" in problem(refusal, 503, "draining")
        assert refusal.headers["retry-after"] == "1"
        answer = client.post(URBAN, files={"file": SIREN})
        for response in (refusal, answer, client.get("/healthz")):
            assert response.headers["connection"] == "close"
        assert answer.json()["label"] == "siren"
        client.signal(signal.SIGINT)  # does not wait for the load balancer
        late = stuck.answer()
        assert (late.status, late.headers["connection"]) == (503, "close")
        assert json.load(late)["type"] == "/problems/draining"
        assert client.wait() == 0


def test_a_reload_before_there_is_anything_to_reload_does_not_end_it(root: Path) -> None:
    port = free_port()
    settings = {"EARSHOT_PORT": str(port), "EARSHOT_MODELS_DIR": str(root)}
    with subprocess.Popen([sys.executable, "-m", "app"], env=os.environ | settings) as process:
        status = Path(f"/proc/{process.pid}/status")

        def ignores_it() -> bool:
            found = re.search(r"SigIgn:\s+(\w+)", status.read_text())
            return found is not None and bool(int(found[1], 16) >> signal.SIGHUP - 1 & 1)

        def is_there() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
            return False

        until(ignores_it)
        process.send_signal(signal.SIGHUP)
        until(lambda: process.poll() is not None or is_there())
        assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


def heard(client: ServerClient, path: str = URBAN, **query: str) -> tuple[str, str]:
    """Return an answer and the version of the checkpoint that gave it."""
    answer = client.post(path, files={"file": SIREN}, params=query).json()
    return answer["label"], answer["checkpoint"]["version"]


def spoil(root: Path) -> None:
    (root / "urban-sound" / "hann" / "model.onnx").write_bytes(b"half a network")


def test_a_new_checkpoint_replaces_the_old_one_when_it_has_proved_itself(root: Path) -> None:
    token, key = make_key("operator", "admin")
    keys = root.with_name("keys")
    keys.write_text(key.line)
    # Compiled networks are kept: the old one must not be taken for the new one.
    cache = root.with_name("cache")
    with serve(models_dir=root, api_keys_file=keys, cache_dir=cache) as client:
        client.headers["Authorization"] = f"Bearer {token}"

        def explained() -> str:
            query = {"format": "json"}
            answer = client.post("/explain/urban-sound", files={"file": SIREN}, params=query)
            return answer.json()["checkpoint"]["version"]

        assert (heard(client), explained()) == (("siren", "siren"), "siren")
        begun = accepted(client, f"Authorization: Bearer {token}")
        save_constant(root, "dog_bark")
        save_constant(root, "drilling", name="hamming")
        assert heard(client) == ("siren", "siren")
        assert client.post("/admin/reload").json() == {
            "replaced": ["urban-sound/hann"],
            "added": ["urban-sound/hamming"],
            "removed": [],
            "refused": {},
        }
        assert heard(client) == ("dog_bark", "dog_bark")
        assert heard(client, window="hamming") == ("drilling", "drilling")
        assert explained() == "dog_bark"
        begun.send(SIREN)
        assert json.load(begun.answer())["checkpoint"]["version"] == "siren"

        save_constant(root, "siren", labels=9)
        shutil.rmtree(root / "urban-sound" / "hamming")
        response = client.post("/admin/reload")
        detail = problem(response, 409, "checkpoint-refused")
        assert detail.endswith("the shape [1, 9], the card has 10 labels")
        assert response.json()["refused"] == {"urban-sound/hann": detail}
        assert response.json()["removed"] == ["urban-sound/hamming"]
        assert heard(client) == ("dog_bark", "dog_bark")
        [model] = client.get("/models").json()["models"]
        assert (model["status"], model["error"]) == ("loaded", detail)

        save_constant(root, "engine_idling")
        spoil(root)
        assert "SHA-256" in problem(client.post("/admin/reload"), 409, "checkpoint-refused")
        assert heard(client) == ("dog_bark", "dog_bark")
        shutil.rmtree(root / "urban-sound")
        assert "no checkpoints any more" in problem(
            client.post("/admin/reload"), 409, "checkpoint-refused"
        )
        assert heard(client) == ("dog_bark", "dog_bark")
        save_constant(root, "siren")
        client.signal(signal.SIGHUP)
        until(lambda: heard(client) == ("siren", "siren"))
        assert "error" not in client.get("/models").json()["models"][0]


def workers_of(client: ServerClient) -> set[int]:
    """The parent's children, but the one that Python starts to clean up after them."""
    found = set()
    children = Path(f"/proc/{client.process_id}/task/{client.process_id}/children")
    for child in children.read_text().split():
        with contextlib.suppress(FileNotFoundError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


def is_ready(client: ServerClient) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_workers_come_back_reload_and_drain(root: Path) -> None:
    token, key = make_key("operator", "admin")
    keys = root.with_name("keys")
    keys.write_text(key.line)
    with serve(models_dir=root, workers=2, api_keys_file=keys) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        until(lambda: is_ready(client))
        first, second = workers_of(client)
        os.kill(first, signal.SIGKILL)
        until(lambda: len(workers_of(client) - {first}) == 2)
        [third] = workers_of(client) - {first, second}
        save_constant(root, "dog_bark")
        # One of them answers, and has the other do the same; each connection may come to another.
        # The third may have begun with the new one already.
        assert client.post("/admin/reload").json()["replaced"] in (["urban-sound/hann"], [])
        until(lambda: all(heard_anew(client) == "dog_bark" for _ in range(8)))
        assert workers_of(client) == {second, third}
        request = accepted(client, f"Authorization: Bearer {token}")
        client.signal(signal.SIGTERM)
        until(lambda: is_closed(client))
        request.send(SIREN)
        assert json.load(request.answer())["label"] == "dog_bark"
        assert client.wait() == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in (first, second, third))


def heard_anew(client: ServerClient) -> str:
    url, headers = client.base_url.join(URBAN), client.headers
    response = httpx.post(url, content=SIREN, headers={**headers, **WAV}, timeout=20)
    label: str = response.json()["label"]
    return label


def test_a_network_without_end_is_left_behind(root: Path, tmp_path: Path) -> None:
    """A reload refuses it in time, the old one goes on, and the process still ends."""
    token, key = make_key("operator", "admin")
    keys = tmp_path / "keys"
    keys.write_text(key.line)
    headers = {"Authorization": f"Bearer {token}"}
    with serve(models_dir=root, api_keys_file=keys, load_timeout_seconds=20) as client:
        client.headers.update(headers)
        assert client.post(URBAN, files={"file": SIREN}).json()["label"] == "siren"
        save_endless(root, "drilling")
        detail = problem(client.post("/admin/reload"), 409, "checkpoint-refused")
        assert detail == "urban-sound/hann: it was not loaded and tested within 20 s"
        assert client.post(URBAN, files={"file": SIREN}).json()["label"] == "siren"
        client.signal(signal.SIGTERM)
        assert client.wait(PATIENCE_SECONDS) == 0
