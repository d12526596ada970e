"""API keys, headers and limits of a real process over a real socket."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import InferenceClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from app.api.api_keys import make_key
from earshot import Client, EarshotError
from tests.e2e.test_classify import problem
from tests.e2e.test_stream import pcm
from tests.support.serving import ServerClient, serve
from tests.support.sounds import encode, make

SIREN = encode(make("siren", 1))
URBAN = "/classify/urban-sound"
USER, USER_KEY = make_key("lab", "use")
ADMIN, ADMIN_KEY = make_key("operator", "admin")
ORIGIN = "https://elsewhere.example"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def keys(siren_store: Path) -> Path:
    path = siren_store.with_name("keys")
    path.write_text(f"{USER_KEY.line}\n{ADMIN_KEY.line}\n")
    return path


@pytest.fixture(scope="module")
def guarded(siren_store: Path, keys: Path) -> Iterator[ServerClient]:
    with serve(
        models_dir=siren_store,
        api_keys_file=keys,
        cors_origins=json.dumps([ORIGIN]),
        rate_per_minute=6,
        rate_burst=50,
        max_client_requests=2,
    ) as client:
        yield client


def address(client: ServerClient) -> str:
    return f"ws://{client.base_url.netloc.decode()}/stream/urban-sound?sample_rate=16000"


def test_what_needs_no_key(guarded: ServerClient) -> None:
    for path in (
        "/",
        "/web/main.js",
        "/examples/siren.ogg",
        "/healthz",
        "/readyz",
        "/docs",
        "/openapi.json",
    ):
        assert guarded.get(path).status_code == 200, path
    document = guarded.get("/openapi.json").json()
    assert document["security"] == [{"bearer": []}, {"header": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_open = path in ("/healthz", "/readyz", "/problems/{name}")
            assert operation.get("security") == ([] if is_open else None)
            for status in ("401", "429"):
                assert (status in operation["responses"]) != is_open
    reload = document["paths"]["/admin/reload"]["post"]["responses"]
    assert {"200", "401", "403", "404", "409", "421", "422", "429", "500"} == set(reload)


@pytest.mark.parametrize(
    "headers", [bearer(USER), {"Authorization": f"bearer {ADMIN}"}, {"X-API-Key": USER}]
)
def test_a_key_opens(guarded: ServerClient, headers: dict[str, str]) -> None:
    answer = guarded.post(URBAN, files={"file": SIREN}, headers=headers)
    assert (answer.status_code, answer.json()["label"]) == (200, "siren")


def test_everything_else_needs_a_key(guarded: ServerClient) -> None:
    document = guarded.get("/openapi.json").json()
    asked = [
        (method, path.replace("{task}", "urban-sound"))
        for path, operations in document["paths"].items()
        for method in operations
        if path not in ("/healthz", "/readyz", "/problems/{name}")
    ]
    assert len(asked) > 8
    for method, path in (*asked, ("get", "/metrics")):
        problem(guarded.request(method, path), 401, "unauthorized")


def test_no_key_and_a_wrong_one_are_refused(guarded: ServerClient) -> None:
    for path in ("/models", "/models", "/metrics", "/nothing", "/admin/reload"):
        response = guarded.get(path)
        assert "send an API key" in problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == 'Bearer realm="earshot"'
    for headers in (bearer(USER[:-1]), {"X-API-Key": USER_KEY.sha256}):
        response = guarded.post(URBAN, files={"file": SIREN}, headers=headers)
        problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].endswith('error="invalid_token"')
    basic = guarded.get("/models", headers={"Authorization": f"Basic {USER}"})
    problem(basic, 401, "unauthorized")


def test_administration_needs_its_scope(
    guarded: ServerClient, siren_store: Path, keys: Path
) -> None:
    response = guarded.post("/admin/reload", headers=bearer(USER))
    assert "lab has the scope use" in problem(response, 403, "forbidden")
    response = guarded.post("/admin/reload", headers=bearer(ADMIN))
    assert response.json() == {"replaced": [], "added": [], "removed": [], "refused": {}}
    # Without a key for it, there is no administration: as any path that does not exist.
    keys.write_text(f"{USER_KEY.line}\n")
    headers = bearer(USER) | {"X-Request-ID": "a"}
    response = guarded.post("/admin/reload", headers=headers)
    assert response.status_code == 404
    assert response.json() == guarded.get("/nothing", headers=headers).json()
    # The key was taken back while the server ran; and now it is handed out again.
    problem(guarded.get("/models", headers=bearer(ADMIN)), 401, "unauthorized")
    keys.write_text(f"{USER_KEY.line}\n{ADMIN_KEY.line}\n")
    assert guarded.get("/models", headers=bearer(ADMIN)).status_code == 200


def test_a_stream_ends_when_its_key_is_taken_back(guarded: ServerClient, keys: Path) -> None:
    with connect(address(guarded), additional_headers=bearer(USER)) as live:
        live.send(pcm(make("siren", 1, seconds=1.0)))
        assert json.loads(live.recv(timeout=60))["label"] == "siren"
        keys.write_text(f"{ADMIN_KEY.line}\n")
        try:
            with pytest.raises(ConnectionClosed) as closed:
                live.recv(timeout=60)
        finally:
            keys.write_text(f"{USER_KEY.line}\n{ADMIN_KEY.line}\n")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the key was revoked")


def test_a_stream_takes_a_key_in_a_header_or_as_a_subprotocol(guarded: ServerClient) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(address(guarded)):
        pass
    assert refused.value.response.status_code == 401
    body = json.loads(refused.value.response.body)
    assert body["type"] == "/problems/unauthorized"
    with pytest.raises(InvalidStatus), connect(address(guarded), subprotocols=["earshot.key.no"]):
        pass
    for options in (
        {"additional_headers": bearer(USER)},
        {"subprotocols": ["earshot", f"earshot.key.{USER}"]},
    ):
        with connect(address(guarded), **options) as live:
            live.send(pcm(make("siren", 1, seconds=1.0)))
            assert json.loads(live.recv(timeout=60))["label"] == "siren"
            assert live.subprotocol == ("earshot" if "subprotocols" in options else None)


def test_clients_send_their_key(
    guarded: ServerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = str(guarded.base_url)
    with pytest.raises(EarshotError) as error:
        Client(server).classify("urban-sound", SIREN)
    assert error.value.problem.status == 401
    assert Client(server, api_key=USER).classify("urban-sound", SIREN).label == "siren"
    ranked = InferenceClient(token=USER).audio_classification(
        SIREN, model=f"{server}/hf/urban-sound"
    )
    assert ranked[0].label == "siren"
    monkeypatch.setenv("EARSHOT_API_KEY", USER)
    assert Client(server).classify("urban-sound", SIREN).label == "siren"
    path = tmp_path / "siren.wav"
    path.write_bytes(SIREN)
    command = [sys.executable, "-m", "earshot", "classify", str(path), "--server", server]
    command += ["--task", "urban-sound", "--format", "json", "--api-key"]
    right = subprocess.run([*command, ADMIN], capture_output=True, text=True, check=False)
    [answered] = json.loads(right.stdout)
    assert answered["label"] == "siren"
    wrong = subprocess.run([*command, "no"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 3
    assert "send an API key" in wrong.stderr


def test_every_answer_has_its_headers(guarded: ServerClient) -> None:
    answers = [
        guarded.get("/"),
        guarded.get("/models", headers=bearer(USER)),
        guarded.get("/models"),
        guarded.get("/web/nothing"),
        guarded.post(URBAN, content=b"", headers=bearer(USER)),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 404, 415]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    policy = answers[0].headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "frame-ancestors 'none'" in policy


def test_another_site_may_ask_where_it_is_named(guarded: ServerClient) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    allowed = guarded.options(URBAN, headers={"Origin": ORIGIN, **asked})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    other = guarded.options(URBAN, headers={"Origin": "https://other.example", **asked})
    assert "access-control-allow-origin" not in other.headers
    # The page has to be able to read why it was refused.
    refused = guarded.get("/models", headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)


def test_a_client_may_only_ask_so_much_at_once(guarded: ServerClient) -> None:
    headers = bearer(ADMIN)
    with (
        connect(address(guarded), additional_headers=headers),
        connect(address(guarded), additional_headers=headers),
    ):
        response = guarded.get("/models", headers=headers)
        assert "2 requests of yours" in problem(response, 429, "too-many-requests")
        assert response.headers["retry-after"] == "1"
        assert guarded.get("/models", headers=bearer(USER)).status_code == 200
        assert guarded.get("/readyz", headers=headers).status_code == 200


def test_a_client_may_only_ask_so_often(guarded: ServerClient) -> None:
    """Last in this file: it empties a client's bucket."""
    responses = [guarded.get("/models", headers=bearer(ADMIN)) for _ in range(52)]
    refused = [response for response in responses if response.status_code != 200]
    assert "more requests than are allowed" in problem(refused[0], 429, "too-many-requests")
    assert 1 <= int(refused[0].headers["retry-after"]) <= 10
    with (
        pytest.raises(InvalidStatus) as error,
        connect(address(guarded), additional_headers=bearer(ADMIN)),
    ):
        pass
    assert error.value.response.status_code == 429
    assert guarded.get("/models", headers=bearer(USER)).status_code == 200
    assert guarded.get("/readyz").status_code == 200


def test_without_keys_all_is_open_and_nothing_is_administered(client: httpx.Client) -> None:
    assert client.get("/models").status_code == 200
    headers = {"X-Request-ID": "a"}
    answers = [client.post(path, headers=headers) for path in ("/admin/reload", "/nothing")]
    assert answers[0].json() == answers[1].json()
    assert "security" not in client.get("/openapi.json").json()
    assert "access-control-allow-origin" not in client.get("/", headers={"Origin": ORIGIN}).headers


def test_a_key_is_made_on_the_command_line() -> None:
    command = [sys.executable, "-m", "earshot", "key", "phone", "--admin"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    name, scope, digest = made.stderr.strip().split(":")
    assert (name, scope) == ("phone", "admin")
    assert digest == hashlib.sha256(made.stdout.strip().encode()).hexdigest()


def test_a_bad_file_of_keys_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("password\n")
    process = subprocess.run(
        [sys.executable, "-m", "app"],
        env={"EARSHOT_API_KEYS_FILE": str(tmp_path / "keys")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("EARSHOT_API_KEYS_FILE: line 1 of the keys is not name:scope")
