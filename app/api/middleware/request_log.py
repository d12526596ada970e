"""Metrics, a line of log, a span and an id for every request."""

import logging
import re
import uuid
from contextlib import nullcontext
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import problems
from app.telemetry.logs import request_ids
from app.telemetry.prometheus import PrometheusMetrics
from app.telemetry.trace_context import TraceParent, new_trace_id, parse_traceparent

if TYPE_CHECKING:  # the packages for it are an extra
    from app.telemetry.tracing import RequestSpan, Tracing

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
# Probes, every few seconds: worth a line only when they fail.
_QUIET = {"/healthz", "/readyz", "/metrics"}


class RequestLogMiddleware:
    """Gives each request an id, and records its outcome in metrics, log and trace.

    The outermost middleware: whoever answers, it is seen.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: PrometheusMetrics, tracing: "Tracing | None"
    ) -> None:
        """Wrap `app`; without `tracing`, no spans are made."""
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and record its outcome."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        parent = _parent(headers)
        with nullcontext() if self._tracing is None else self._tracing.request(parent) as span:
            exchange = _Exchange(scope, send, _request_id(headers))
            ids = {"request_id": exchange.request_id, "trace_id": _trace_id(span, parent)}
            token = request_ids.set(ids)
            self._metrics.begin_request()
            try:
                await exchange.run(self._app, receive)
            finally:
                self._record(exchange, span)
                request_ids.reset(token)

    def _record(self, exchange: "_Exchange", span: "RequestSpan | None") -> None:
        seconds = perf_counter() - exchange.began
        route, method, status = exchange.route, exchange.method, exchange.status
        problem: str | None = exchange.state.get("problem")
        self._metrics.end_request(route, method, status, None if exchange.is_websocket else seconds)
        if problem is not None:
            self._metrics.count_problem(problem)
        if span is not None:
            span.finish(route, method, status, problem)
        level = logging.WARNING if status >= 500 else logging.INFO
        if route in _QUIET and status < 400:
            level = logging.DEBUG
        if log.isEnabledFor(level):
            fields = {
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": round(1000 * seconds, 1),
            }
            if problem is not None:
                fields["problem"] = problem
            log.log(level, "answered", extra={"fields": fields})


class _Exchange:
    """A request and the progress of its answer."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.began = perf_counter()
        self.request_id = request_id
        self.state = scope.setdefault("state", {})
        self.state["request_id"] = request_id
        self.is_websocket = scope["type"] == "websocket"
        # The status of an application that never answers.
        self.status = 403 if self.is_websocket else 500
        self._started = False
        self._scope = scope
        self._send = send

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        """Let `app` answer; where it fails before it has begun to, answer with a problem."""
        try:
            await app(self._scope, receive, self.send)
        except Exception as error:
            log.exception("%s %s failed", self.method, self.route)
            if self._started:
                raise  # what is underway can only be broken off
            response = problems.problem_response(HTTPConnection(self._scope), error)
            await response(self._scope, receive, self.send)

    async def send(self, message: Message) -> None:
        """Send a message, with the request's id in the headers."""
        if message["type"] in (
            "http.response.start",
            "websocket.accept",
            "websocket.http.response.start",
        ):
            self._started = True
            self.status = message.get("status", 101)
            message.setdefault("headers", [])
            MutableHeaders(scope=message)[REQUEST_ID] = self.request_id
        await self._send(message)

    @property
    def method(self) -> str:
        """The method; of a WebSocket, that of its handshake."""
        method = self._scope.get("method", "GET")
        return method if method in _METHODS else "other"

    @property
    def route(self) -> str:
        """The template of the path, known once it was routed."""
        path = getattr(self._scope.get("route"), "path", None)
        return "other" if path is None else str(path)


def _request_id(headers: Headers) -> str:
    given = headers.getlist(REQUEST_ID)
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0]
    return uuid.uuid4().hex


def _parent(headers: Headers) -> TraceParent | None:
    given = headers.getlist("traceparent")
    return parse_traceparent(given[0]) if len(given) == 1 else None


def _trace_id(span: "RequestSpan | None", parent: TraceParent | None) -> str:
    if span is not None:
        return span.trace_id
    return new_trace_id() if parent is None else parent.trace_id
