"""A visitor's browser is no way into the service: hosts and origins, on a real socket."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.test_classify import problem
from tests.support.serving import ServerClient, serve
from tests.support.sounds import encode, make

SIREN = encode(make("siren", 1))
URBAN = "/classify/urban-sound"
SITE = "https://site.example"


@pytest.fixture(scope="module")
def service(siren_store: Path) -> Iterator[ServerClient]:
    with serve(models_dir=siren_store) as client:
        yield client


@pytest.fixture(scope="module")
def named(siren_store: Path) -> Iterator[ServerClient]:
    """A service with names of its own, whom one other site may ask."""
    hosts = ["Earshot.example", "*.lan"]
    with serve(
        models_dir=siren_store, allowed_hosts=json.dumps(hosts), cors_origins=json.dumps([SITE])
    ) as client:
        yield client


def asked_as(client: httpx.Client, host: str, path: str = "/models") -> httpx.Response:
    return client.get(path, headers={"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:8000", "app.localhost", "localhost."),
        *("127.0.0.1", "192.168.1.7:8000", "[::1]", "[fe80::1]:8000"),
    ],
)
def test_addresses_and_localhost_are_its_names(service: ServerClient, host: str) -> None:
    assert asked_as(service, host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("rebound.example", "127.0.0.1.rebound.example", "localhost.rebound.example"),
        *("notlocalhost", "localhost@rebound.example", "localhost:80@rebound.example"),
        *("[::1]rebound.example", "localhost/x", "a b", ""),
    ],
)
def test_no_other_name_is_answered(service: ServerClient, host: str) -> None:
    """DNS rebinding: a page whose name comes to mean this machine reads nothing of it."""
    for path in ("/", "/models", "/recording?genre=jazz", "/healthz", "/nothing"):
        detail = problem(asked_as(service, host, path), 421, "unknown-host")
        assert f"does not answer to the name {host!r}" in detail
        assert "EARSHOT_ALLOWED_HOSTS" in detail


def test_a_long_name_is_not_repeated(service: ServerClient) -> None:
    assert len(asked_as(service, "x" * 60_000).content) < 1000


def test_names_can_be_given(named: ServerClient) -> None:
    for host in ("earshot.example", "EARSHOT.example:443", "studio.lan", "a.b.lan", "localhost"):
        assert asked_as(named, host).status_code == 200, host
    for host in ("other.example", "lan", "evil-lan", "x.earshot.example"):
        assert asked_as(named, host).status_code == 421, host


OTHERS = [
    {"Origin": "https://other.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("headers", OTHERS)
def test_pages_of_other_sites_may_ask_nothing(
    service: ServerClient, headers: dict[str, str]
) -> None:
    """Neither what a form can send, nor what a picture's address can ask for."""
    asked = [
        service.post(URBAN, files={"file": SIREN}, headers=headers),
        service.post("/classify/urban-sound/batch", files={"file": SIREN}, headers=headers),
        service.get("/spectrogram?compare=genres&width=201", headers=headers),
        service.get("/genres", headers=headers),
        service.get("/recording?genre=jazz", headers=headers),
        service.post("/admin/reload", headers=headers),
        service.options(URBAN, headers=headers | {"Access-Control-Request-Method": "POST"}),
    ]
    for response in asked:
        assert "EARSHOT_CORS_ORIGINS" in problem(response, 403, "cross-origin")
        assert "access-control-allow-origin" not in response.headers
    # Whoever follows a link to the page may see it, and probes are probes.
    for path in ("/", "/web/main.js", "/docs", "/healthz", "/readyz"):
        assert service.get(path, headers=headers).status_code == 200, path


def test_its_own_page_and_programs_may_ask(service: ServerClient) -> None:
    own = str(service.base_url).rstrip("/")
    port = service.base_url.port
    for headers in (
        {},
        {"Origin": own},
        {"Origin": own, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": f"http://localhost:{port}", "Host": f"LOCALHOST:{port}"},
        # A proxy that speaks TLS may give the service a name other than the browser's.
        {"Origin": "https://public.example", "Sec-Fetch-Site": "same-origin"},
    ):
        answer = service.post(URBAN, files={"file": SIREN}, headers=headers)
        assert (answer.status_code, answer.json()["label"]) == (200, "siren")


def test_a_named_site_may_ask(named: ServerClient) -> None:
    headers = {"Origin": SITE, "Sec-Fetch-Site": "cross-site"}
    answer = named.post(URBAN, files={"file": SIREN}, headers=headers)
    assert (answer.status_code, answer.json()["label"]) == (200, "siren")
    assert answer.headers["access-control-allow-origin"] == SITE
    other = named.post(URBAN, files={"file": SIREN}, headers={"Origin": f"{SITE}.evil"})
    problem(other, 403, "cross-origin")


@pytest.mark.parametrize("headers", OTHERS)
def test_no_other_site_opens_a_stream(service: ServerClient, headers: dict[str, str]) -> None:
    address = f"ws://127.0.0.1:{service.base_url.port}/stream/urban-sound?sample_rate=16000"
    with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=headers):
        pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["type"] == "/problems/cross-origin"
    with connect(address, origin=f"http://127.0.0.1:{service.base_url.port}"):
        pass


def test_any_site_may_ask_where_all_are_named(siren_store: Path) -> None:
    with serve(models_dir=siren_store, cors_origins='["*"]', allowed_hosts='["*"]') as client:
        headers = {"Origin": "https://other.example", "Host": "any.example"}
        answer = client.post(URBAN, files={"file": SIREN}, headers=headers)
        assert (answer.status_code, answer.json()["label"]) == (200, "siren")


def forwarded(client: httpx.Client, *chains: str) -> list[int]:
    """Ask as a proxy on this machine would; returns the statuses."""
    return [
        client.get("/models", headers={"X-Forwarded-For": chain}).status_code for chain in chains
    ]


def test_nobody_is_believed_who_says_that_another_asks(siren_store: Path) -> None:
    with serve(models_dir=siren_store, rate_per_minute=1, rate_burst=3) as client:
        chains = [f"192.0.2.{number}" for number in range(5)]
        assert forwarded(client, *chains) == [200, 200, 200, 429, 429]


def test_a_named_proxy_is_believed(siren_store: Path) -> None:
    """Of what is in the header, the last that is not another named proxy: it saw that one."""
    proxies = json.dumps(["127.0.0.0/8", "10.0.0.7"])
    with serve(
        models_dir=siren_store, rate_per_minute=1, rate_burst=1, trusted_proxies=proxies
    ) as client:
        junk = "x" * 60_000
        assert forwarded(
            client,
            *("192.0.2.1", "192.0.2.2", "192.0.2.1"),
            *("192.0.2.3, 192.0.2.1", "192.0.2.1, 192.0.2.4", "192.0.2.5:4711, 10.0.0.7"),
            *("192.0.2.5", f"{junk}, 192.0.2.6", "junk", junk, "192.0.2.6"),
        ) == [200, 200, 429, 429, 200, 200, 429, 200, 200, 429, 429]
