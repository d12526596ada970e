"""Metrics and logs of a running server."""

import json
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.test_stream import send
from tests.support.serving import ServerClient, serve
from tests.support.sounds import RATE, encode, make

ROOT = Path(__file__).parents[2]
URBAN = "/classify/urban-sound"
CLASSIFY = "/classify/{task}"
WAV = encode(make("siren", 90_000))  # 2 s: one clip
LONG = encode(make("siren", 90_001, seconds=40))  # 19 clips of 4 s: three blocks
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one of the shipped checkpoints."""
    store = tmp_path_factory.mktemp("store")
    shutil.copytree(ROOT / "models_store" / "urban-sound" / "hann", store / "urban-sound" / "hann")
    return store


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[ServerClient]:
    with serve(models_dir=store, log_format="json") as client:
        yield client


def figures(client: httpx.Client) -> Figures:
    response = client.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def get(found: Figures, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0)


def changes(client: httpx.Client, work: Callable[[], None]) -> Callable[..., float]:
    """By how much each figure grows while `work` is done."""
    before = figures(client)
    work()
    after = settled(client)
    return lambda name, **labels: get(after, name, **labels) - get(before, name, **labels)


def settled(client: httpx.Client) -> Figures:
    """The figures when nothing but their own request is in flight."""
    deadline = time.monotonic() + 30
    while get(found := figures(client), "earshot_requests_in_flight") > 1:
        assert time.monotonic() < deadline, "requests do not end"
    return found


def post(client: httpx.Client, data: bytes, path: str = URBAN, **more: Any) -> httpx.Response:
    return client.post(path, files={"file": ("clip.wav", data)}, **more)


def log_entry(client: ServerClient, request_id: str) -> dict[str, Any]:
    """The line of the request with this id."""
    line = client.log.wait_for(lambda line: request_id in line and '"milliseconds"' in line)
    entry: dict[str, Any] = json.loads(line)
    return entry


def test_requests_are_counted_by_template(server: ServerClient) -> None:
    def work() -> None:
        for _ in range(3):
            assert post(server, WAV).status_code == 200
        assert post(server, b"no sound").status_code == 415
        assert server.get(URBAN).status_code == 405
        for path in ("/nothing", "/nothing/else"):
            assert server.get(path).status_code == 404
        assert server.get("/openapi.json").status_code == 200

    change = changes(server, work)
    expected = [
        (CLASSIFY, "POST", "200", 3),
        (CLASSIFY, "POST", "415", 1),
        (CLASSIFY, "GET", "405", 1),
        ("other", "GET", "404", 2),
        ("/openapi.json", "GET", "200", 1),
    ]
    for route, method, status, count in expected:
        labels = {"route": route, "method": method, "status": status}
        assert change("earshot_requests_total", **labels) == count
        assert change("earshot_request_duration_seconds_count", **labels) == count
    seconds = change(
        "earshot_request_duration_seconds_sum", route=CLASSIFY, method="POST", status="200"
    )
    assert 0 < seconds < 60
    problems = {"unsupported-format": 1, "method-not-allowed": 1, "not-found": 2, "overloaded": 0}
    for problem_type, count in problems.items():
        assert change("earshot_problems_total", type=problem_type) == count


def test_each_block_passes_each_stage(server: ServerClient) -> None:
    labels: list[str] = []

    def work() -> None:
        labels.extend(post(server, data).json()["label"] for data in (WAV, LONG))
        assert post(server, WAV[:100]).status_code == 422

    change = changes(server, work)
    counts = {"decode": 5, "features": 4, "queue": 4, "inference": 4}  # one cannot be decoded
    for stage, count in counts.items():
        assert change("earshot_stage_duration_seconds_count", stage=stage) == count
        assert 0 < change("earshot_stage_duration_seconds_sum", stage=stage) < 60
    assert change("earshot_batch_clips_count") == 4
    assert change("earshot_batch_clips_sum") == 1 + 19
    assert change("earshot_batch_clips_bucket", le="1.0") == 1
    assert change("earshot_audio_seconds_total") == pytest.approx(42)
    for label in set(labels):
        count = change(
            "earshot_predictions_total", task="urban-sound", checkpoint="hann", label=label
        )
        assert count == labels.count(label)
    after = figures(server)
    assert get(after, "earshot_queue_clips") == 0
    assert get(after, "earshot_checkpoints_loaded") == 1


def test_files_of_a_batch_count_one_by_one(server: ServerClient) -> None:
    found: list[dict[str, Any]] = []

    def work() -> None:
        files = [("file", ("clip.wav", data)) for data in (WAV, b"no sound", WAV)]
        answer = server.post(f"{URBAN}/batch", files=files)
        found.extend(json.loads(line) for line in answer.text.splitlines())

    change = changes(server, work)
    labels = [line["result"]["label"] for line in found if "result" in line]
    assert len(labels) == 2
    count = change(
        "earshot_predictions_total", task="urban-sound", checkpoint="hann", label=labels[0]
    )
    assert count == 2
    assert change("earshot_problems_total", type="unsupported-format") == 1
    request = {"route": f"{CLASSIFY}/batch", "method": "POST", "status": "200"}
    assert change("earshot_requests_total", **request) == 1


def test_live_sound_is_counted_by_the_hop(server: ServerClient) -> None:
    labels: list[str] = []

    def work() -> None:
        address = f"ws://{server.base_url.host}:{server.base_url.port}/stream/urban-sound"
        with connect(f"{address}?sample_rate={RATE}&hop_seconds=2") as connection:
            assert connection.response is not None
            assert len(connection.response.headers["X-Request-ID"]) == 32
            send(connection, make("siren", 7, seconds=4.5))
            labels.extend(json.loads(connection.recv(timeout=60))["label"] for _ in range(2))

    change = changes(server, work)
    request = {"route": "/stream/{task}", "method": "GET", "status": "101"}
    assert change("earshot_requests_total", **request) == 1
    assert change("earshot_request_duration_seconds_count", **request) == 0
    assert change("earshot_audio_seconds_total") == 4
    assert change("earshot_stage_duration_seconds_count", stage="features") == 2
    for label in set(labels):
        count = change(
            "earshot_predictions_total", task="urban-sound", checkpoint="hann", label=label
        )
        assert count == labels.count(label)


def test_overload_and_deadline_are_told_apart(store: Path) -> None:
    with serve(models_dir=store, max_requests=1, request_timeout_seconds=0.001) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.sendall(
                f"POST {URBAN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                f"Expect: 100-continue\r\nContent-Type: audio/wav\r\n\r\n".encode()
            )
            assert b"100 Continue" in connection.recv(1000)
            assert post(client, WAV).json()["type"] == "/problems/overloaded"
            assert get(figures(client), "earshot_requests_in_flight") == 2
        settled(client)
        assert post(client, WAV).json()["type"] == "/problems/deadline"
        found = settled(client)
    assert get(found, "earshot_problems_total", type="overloaded") == 1
    assert get(found, "earshot_problems_total", type="deadline") == 1
    assert get(found, "earshot_problems_total", type="incomplete-body") == 1


def test_processes_of_one_folder_are_added_up(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    route = {"route": "/healthz", "method": "GET", "status": "200"}
    with serve(models_dir=store) as one, serve(models_dir=store, preload="none") as other:
        for client in (one, other, other):
            client.get("/healthz")
        for client in (one, other):
            found = settled(client)
            assert get(found, "earshot_requests_total", **route) == 3
            assert get(found, "earshot_checkpoints_loaded") == 1


def test_openmetrics_is_answered_where_it_is_asked_for(server: ServerClient) -> None:
    plain = server.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    open_metrics = server.get("/metrics", headers=accept)
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=")
    assert open_metrics.text.endswith("# EOF\n")


def test_the_dashboard_asks_for_what_is_exported(server: ServerClient) -> None:
    assert post(server, WAV).status_code == 200
    exported = {name for name, _ in settled(server)}
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/earshot.json").read_text())
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    queried = {
        name for query in queries for name in re.findall(r"\b(?:earshot|process)_\w+", query)
    }
    assert len(queries) >= 10
    assert queried <= exported
    # Everything that is counted is shown.
    ours = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in exported}
    shown = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in queried}
    assert {name for name in ours if name.startswith("earshot_")} <= shown


def test_a_request_is_a_line_of_json(server: ServerClient) -> None:
    headers = {"X-Request-ID": "my.request_1", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    response = post(server, WAV, headers=headers)
    assert response.headers["x-request-id"] == "my.request_1"
    entry = log_entry(server, "my.request_1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert 0 < entry.pop("milliseconds") < 60_000
    assert entry == {
        "level": "info",
        "logger": "app.api.middleware.request_log",
        "message": "answered",
        "method": "POST",
        "route": "/classify/{task}",
        "status": 200,
        "request_id": "my.request_1",
        "trace_id": TRACE,
    }


def test_a_refusal_has_its_id_and_its_reason(server: ServerClient) -> None:
    response = post(server, b"no sound")
    request_id = response.json()["request_id"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert response.headers["x-request-id"] == request_id
    entry = log_entry(server, request_id)
    assert (entry["status"], entry["problem"]) == (415, "unsupported-format")


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "a\tb", 'a"b', "ä", "$(id)", "a,b"])
def test_an_unsafe_request_id_is_replaced(server: ServerClient, given: str) -> None:
    response = server.get("/healthz", headers={"X-Request-ID": given.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


def test_two_request_ids_are_none(server: ServerClient) -> None:
    response = server.get("/nothing", headers=[("X-Request-ID", "one"), ("X-Request-ID", "two")])
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


@pytest.mark.parametrize(
    "given", [[f"00-{TRACE}-{'0' * 16}-01"], [f"00-{TRACE}-{PARENT}-01"] * 2, []]
)
def test_without_one_valid_traceparent_a_trace_begins(
    server: ServerClient, given: list[str]
) -> None:
    headers = [("traceparent", value) for value in given]
    request_id = server.get("/nothing", headers=headers).headers["x-request-id"]
    trace_id = log_entry(server, request_id)["trace_id"]
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    assert trace_id != TRACE


def test_the_log_holds_nothing_of_a_request_but_its_shape(store: Path) -> None:
    with serve(models_dir=store, log_format="json", log_level="debug") as client:
        client.post(
            f"{URBAN}?name=secret-query", files={"file": ("secret-name.wav", b"secret-content")}
        )
        client.post(f"{URBAN}/batch", files={"file": ("secret-name.wav", b"secret-content")})
        client.get("/secret-path", headers={"X-Secret": "secret-header"})
        client.get("/classify/secret-task?window=secret-window")
        address = f"ws://{client.base_url.host}:{client.base_url.port}/stream/urban-sound"
        with connect(f"{address}?sample_rate={RATE}") as connection:
            connection.send(b"\0" * 100)
        with pytest.raises(InvalidStatus), connect(f"{address}?name=secret-query"):
            pass
        client.get("/nothing", headers={"X-Request-ID": "the-last"})
        log_entry(client, "the-last")
        settled(client)
        lines = client.log.lines
    entries = [json.loads(line) for line in lines]  # each is JSON, uvicorn's too
    assert {"uvicorn.error", "app.api.middleware.request_log"} <= {
        entry["logger"] for entry in entries
    }
    assert {"/stream/{task}", "/classify/{task}/batch", "other"} <= {
        entry.get("route") for entry in entries
    }
    assert not [line for line in lines if "secret" in line]
    assert not [line for line in lines if "127.0.0.1" in line and "running on" not in line]


def test_without_metrics_there_is_a_log_of_probes_that_fail(tmp_path: Path) -> None:
    with serve(models_dir=tmp_path, metrics="false") as client:
        assert client.get("/metrics").status_code == 404
        assert client.get("/healthz").status_code == 200
        request_id = client.get("/readyz").headers["x-request-id"]
        line = client.log.wait_for(lambda line: request_id in line)
        assert re.match(r"\S+Z WARNING  answered method=GET route=/readyz status=503 ", line)
        assert "problem=not-ready" in line
        assert not [line for line in client.log.lines if "/healthz" in line]
