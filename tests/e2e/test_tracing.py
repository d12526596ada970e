"""Traces, as a collector over HTTP gets them."""

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.test_monitoring import PARENT, TRACE, WAV, post
from tests.support.serving import serve

ROOT = Path(__file__).parents[2]
STORE = ROOT / "models_store"


class Collector(ThreadingHTTPServer):
    """Keeps what is sent to it."""

    def __init__(self) -> None:
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received.put((self.path, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@contextmanager
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_request_and_its_stages_are_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415
        ExportTraceServiceRequest,
    )

    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    sampled, unsampled = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE[::-1]}-{PARENT}-00"
    with collector() as server:
        with serve(
            models_dir=STORE,
            preload="none",
            log_format="json",
            otlp_endpoint=f"http://127.0.0.1:{server.server_port}",
        ) as client:
            assert post(client, WAV, headers={"traceparent": sampled}).status_code == 200
            assert post(client, WAV, headers={"traceparent": unsampled}).status_code == 200
            secret = {"user-agent": "secret", "cookie": "secret"}
            assert post(client, b"no sound", headers=secret).status_code == 415
            refused = client.log.wait_for(lambda line: "unsupported-format" in line)
        # The server has ended, and has sent what was left.
        requests = []
        while not server.received.empty():
            path, body = server.received.get()
            assert path == "/v1/traces"
            assert b"secret" not in body
            requests.append(ExportTraceServiceRequest.FromString(body))
    resources = [resource for request in requests for resource in request.resource_spans]
    attributes = {each.key: each.value.string_value for each in resources[0].resource.attributes}
    assert attributes["service.name"] == "earshot"
    assert attributes["deployment.environment.name"] == "test"
    spans = [
        span for resource in resources for scope in resource.scope_spans for span in scope.spans
    ]
    assert len(spans) == 7
    traced = {span.name: span for span in spans if span.trace_id.hex() == TRACE}
    root = traced.pop("POST /classify/{task}")
    assert root.parent_span_id.hex() == PARENT
    assert {each.key for each in root.attributes} == {
        "http.request.method",
        "http.route",
        "http.response.status_code",
    }
    stages = [traced[name] for name in ("decode", "features", "queue", "inference")]
    assert len(traced) == len(stages)
    moments = [root.start_time_unix_nano]
    for span in stages:
        assert span.parent_span_id == root.span_id
        moments += [span.start_time_unix_nano, span.end_time_unix_nano]
    moments.append(root.end_time_unix_nano)
    # Two clocks, of which one may be set while the other runs on.
    slack = 1_000_000
    assert all(a <= b + slack for a, b in pairwise(moments))
    other = {span.name: span for span in spans if span.trace_id.hex() != TRACE}
    assert set(other) == {"POST /classify/{task}", "decode"}
    root = other["POST /classify/{task}"]
    assert root.trace_id.hex() in refused
    assert root.attributes[-1].value.string_value == "unsupported-format"
    assert root.parent_span_id == b""


def test_a_collector_that_is_away_disturbs_nobody() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed")
    with serve(models_dir=STORE, preload="none", otlp_endpoint="http://127.0.0.1:9") as client:
        assert post(client, WAV).status_code == 200


def test_an_endpoint_without_the_packages_is_a_clear_error() -> None:
    code = (
        "import os, runpy, sys; sys.modules['opentelemetry.sdk.trace'] = None; "
        "os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'] = 'http://127.0.0.1:4318'; "
        "runpy.run_module('app', run_name='__main__')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert process.stderr == (
        "EARSHOT_OTLP_ENDPOINT is set, but the packages that send traces are missing; "
        "install opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http\n"
    )
