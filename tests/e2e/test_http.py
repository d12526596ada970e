"""What HTTP lets clients do, on a real socket: HEAD, slashes, codings of a body, IPv6."""

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.api.api_keys import make_key
from app.api.problem_types import PROBLEM_TYPES, SERVED_TYPES
from tests.e2e.test_classify import problem
from tests.support.serving import ServerClient, serve
from tests.support.sounds import encode, make

SIREN = encode(make("siren", 1))
URBAN = "/classify/urban-sound"
TOKEN, KEY = make_key("lab", "use")


@pytest.fixture(scope="module")
def service(siren_store: Path) -> Iterator[ServerClient]:
    keys = siren_store.with_name("http-keys")
    keys.write_text(KEY.line)
    with serve(models_dir=siren_store, api_keys_file=keys) as client:
        client.headers["X-API-Key"] = TOKEN
        yield client


def test_head_is_answered_wherever_get_is(service: ServerClient) -> None:
    paths = ["/", "/web/main.js", "/docs", "/openapi.json", "/healthz", "/readyz", "/models"]
    paths += ["/recording?genre=jazz", "/spectrogram?genre=jazz&width=200", "/genres?limit=1"]
    for path in (*paths, "/nothing", "/recording?genre=polka", "/metrics"):
        head, get = service.head(path), service.get(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        for name in ("content-type", "etag", "content-security-policy"):
            assert head.headers.get(name) == get.headers.get(name), path
        if path != "/metrics":  # which grow
            assert head.headers["content-length"] == get.headers["content-length"], path
    refused = service.head(URBAN)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert set(service.post("/models").headers["allow"].split(", ")) == {"GET", "HEAD"}
    line = 'earshot_requests_total{method="HEAD",route="/models",status="200"} 1.0'
    assert line in service.get("/metrics").text


def test_head_needs_a_key_where_get_does(service: ServerClient) -> None:
    assert service.head("/models", headers={"X-API-Key": "no"}).status_code == 401
    assert service.head("/healthz", headers={"X-API-Key": "no"}).status_code == 200


def test_a_trailing_slash_is_answered_without_a_redirect(service: ServerClient) -> None:
    for path in ("/models/", "/healthz/", "/docs/", "/recording/?genre=jazz", "/genres//?limit=1"):
        assert service.get(path).status_code == 200, path
    answer = service.post(f"{URBAN}/", files={"file": SIREN})
    assert (answer.status_code, answer.json()["label"]) == (200, "siren")
    for path in ("/models/", "/genres/", "/metrics/"):
        response = service.get(path, headers={"X-API-Key": "no"})
        problem(response, 401, "unauthorized")


@pytest.mark.parametrize("path", [URBAN, f"{URBAN}/batch", "/hf/urban-sound", "/spectrogram"])
@pytest.mark.parametrize("coding", ["gzip", "br, gzip", "GZIP"])
def test_a_compressed_body_is_refused_by_its_name(
    service: ServerClient, path: str, coding: str
) -> None:
    form = httpx.Request("POST", "http://x", files={"file": SIREN})
    body = form.read()
    sent = {"Content-Type": form.headers["content-type"], "Content-Encoding": coding}
    response = service.post(path, content=gzip.compress(body), headers=sent)
    detail = problem(response, 415, "unsupported-media-type")
    assert detail.startswith(f"the body has the content encoding {coding.lower()!r}; send it as it")
    assert response.headers["accept-encoding"] == "identity"
    plain = service.post(path, content=body, headers=sent | {"Content-Encoding": "identity"})
    assert plain.status_code == (415 if path.startswith("/hf") else 200)


def test_a_form_may_be_as_rfc_2046_allows(service: ServerClient) -> None:
    body = b"This is a form.\r\n\r\n--cut \t\r\n"
    body += b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body += SIREN + b"\r\n--cut--  \r\nThat was it.\r\n"
    sent = {"Content-Type": "multipart/form-data; boundary=cut"}
    answer = service.post(URBAN, content=body, headers=sent)
    assert (answer.status_code, answer.json()["label"]) == (200, "siren")


def test_all_addresses_are_those_of_both_families(siren_store: Path) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with serve(models_dir=siren_store, host="::") as client:
        assert client.get("/models").status_code == 200
        port = client.base_url.port
        assert httpx.get(f"http://[::1]:{port}/models").status_code == 200


def test_every_type_of_problem_leads_to_what_explains_it(service: ServerClient) -> None:
    refused = httpx.get(service.base_url.join("/models")).json()
    assert refused["type"] == "/problems/unauthorized"
    explained = httpx.get(service.base_url.join(refused["type"])).json()  # needs no key
    assert explained == {
        "type": "/problems/unauthorized",
        "title": refused["title"],
        "status": refused["status"],
        "example": refused["detail"],
        "remedy": "Send a key; who runs the service has them.",
    }
    assert len(SERVED_TYPES) == len(PROBLEM_TYPES) - 1
    for name in SERVED_TYPES:
        found = service.get(f"/problems/{name}").json()
        assert found["type"] == f"/problems/{name}"
        assert found["status"] == PROBLEM_TYPES[name].status
    for name in ("not-found", "nonsense"):
        assert service.get(f"/problems/{name}").json()["type"] == "about:blank"
