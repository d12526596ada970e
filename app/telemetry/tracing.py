"""Spans of requests and their stages for OpenTelemetry, whose packages are optional."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from app import __version__
from app.inference.instrumentation import Stage
from app.telemetry.trace_context import TraceParent

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError as error:
    raise ImportError(
        "EARSHOT_OTLP_ENDPOINT is set, but the packages that send traces are missing; "
        "install opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"
    ) from error

# With all attempts: a collector that is away shall not hold up the end of the service.
_SEND_SECONDS = 3


class RequestSpan:
    """The span of a request while it is answered."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def finish(self, route: str, method: str, status: int, problem: str | None) -> None:
        """Name the span by what was answered; attributes by OpenTelemetry's conventions."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
        )
        if problem is not None:
            self._span.set_attribute("error.type", problem)
        if status >= 500:
            self._span.set_status(trace.StatusCode.ERROR)


class Tracing:
    """Sends spans to an OTLP collector, over HTTP, from a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        """Connect to nothing yet.

        Args:
            endpoint: the collector's address; `/v1/traces` is appended.
        """
        ours = Resource({"service.name": "earshot", "service.version": __version__})
        # The standard variables (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) decide.
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_SEND_SECONDS
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("earshot", __version__)

    @contextmanager
    def request(self, parent: TraceParent | None) -> Iterator[RequestSpan]:
        """Make a request's span the current one, below that of its caller."""
        context = None if parent is None else trace.set_span_in_context(_remote(parent))
        with self._tracer.start_as_current_span(
            "request",
            context,
            trace.SpanKind.SERVER,
            # The log has it: what an exception says need not go to a third party.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield RequestSpan(span)

    def stage(self, stage: Stage, began: float, ended: float) -> None:
        """Add a span, of `perf_counter` seconds, to the request that is being answered."""
        if trace.get_current_span().is_recording():
            # Spans are in nanoseconds of the wall clock.
            offset = time.time() - time.perf_counter()
            span = self._tracer.start_span(stage, start_time=int((began + offset) * 1e9))
            span.end(int((ended + offset) * 1e9))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _remote(parent: TraceParent) -> trace.Span:
    return trace.NonRecordingSpan(
        trace.SpanContext(
            trace_id=int(parent.trace_id, 16),
            span_id=int(parent.parent_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(parent.sampled),
        )
    )
