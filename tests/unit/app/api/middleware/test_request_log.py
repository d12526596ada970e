"""The middleware around applications that fail in ways that the service should not."""

import asyncio
import json
import logging
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.request_log import RequestLogMiddleware
from app.telemetry.prometheus import PrometheusMetrics

START = {"type": "http.response.start", "status": 200, "headers": []}


def ask(app: ASGIApp, **scope: Any) -> tuple[list[Message], dict[str, float]]:
    """Return the messages that are sent for a request, and the counters after it."""
    sent: list[Message] = []
    metrics = PrometheusMetrics()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    request = {"type": "http", "method": "GET", "path": "/", "headers": []} | scope
    try:
        logged = RequestLogMiddleware(app, metrics=metrics, tracing=None)
        asyncio.run(logged(request, receive, send))
    except (RuntimeError, asyncio.CancelledError) as error:
        sent.append({"type": type(error).__name__})
    text = metrics.exposition("")[0].decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return sent, {"/".join([s.name, *s.labels.values()]): s.value for s in samples}


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a fault")


async def fails_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send(dict(START))
    raise RuntimeError("a fault")


async def is_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


async def says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


def test_a_fault_is_a_problem_with_the_id_of_its_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    [start, body], counts = ask(fails, headers=[(b"x-request-id", b"abc-1")])
    assert start["status"] == 500
    assert (b"x-request-id", b"abc-1") in start["headers"]
    problem = json.loads(body["body"])
    assert (problem["type"], problem["request_id"]) == ("/problems/internal", "abc-1")
    assert "a fault" not in str(problem)
    assert counts["earshot_requests_total/GET/other/500"] == 1
    assert counts["earshot_problems_total/internal"] == 1
    assert counts["earshot_requests_in_flight"] == 0
    fault, request = caplog.records
    assert "RuntimeError: a fault" in str(fault.exc_text)
    assert (request.levelno, request.fields["problem"]) == (logging.WARNING, "internal")


def test_an_answer_that_breaks_off_is_not_ended_well() -> None:
    sent, counts = ask(fails_midway)
    assert [message["type"] for message in sent] == ["http.response.start", "RuntimeError"]
    assert counts["earshot_requests_total/GET/other/200"] == 1
    assert counts["earshot_requests_in_flight"] == 0


@pytest.mark.parametrize("app", [is_cancelled, says_nothing])
def test_what_was_never_answered_counts_as_failed(app: ASGIApp) -> None:
    _, counts = ask(app)
    assert counts["earshot_requests_total/GET/other/500"] == 1
    assert counts["earshot_requests_in_flight"] == 0


def test_methods_are_bounded() -> None:
    _, counts = ask(says_nothing, method="BREW")
    assert counts["earshot_requests_total/other/other/500"] == 1


def test_applications_count_for_themselves() -> None:
    for _ in range(2):
        _, counts = ask(says_nothing)
        assert counts["earshot_requests_total/GET/other/500"] == 1
