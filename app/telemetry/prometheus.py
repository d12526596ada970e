"""Metrics for Prometheus, one registry for each application."""

import os
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    exposition,
)
from prometheus_client.multiprocess import MultiProcessCollector

from app.inference.engine import MAX_BATCH_SIZE
from app.inference.instrumentation import Instrumentation, Stage

_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STAGES: tuple[Stage, ...] = ("decode", "features", "queue", "inference")
# Alerts hang on these: they count from nought, so that the first is an increase.
_EXPECTED_PROBLEMS = ("overloaded", "deadline", "internal")


class PrometheusMetrics(Instrumentation):
    """Metrics of one process. Every label value comes from a set that the service itself bounds."""

    def __init__(self, *, on_stage: Callable[[Stage, float, float], None] | None = None) -> None:
        """Start every count at nought; `on_stage` is called for each stage too."""
        self._on_stage = on_stage
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        request = ("route", "method", "status")
        self._requests = Counter(
            "earshot_requests", "Requests that were answered", request, registry=self._registry
        )
        self._request_seconds = Histogram(
            "earshot_request_duration_seconds",
            "Time from a request's head to the end of its answer; live streams left out",
            request,
            buckets=_REQUEST_BUCKETS,
            registry=self._registry,
        )
        self._in_flight = self._gauge(
            "earshot_requests_in_flight", "Requests and live streams that are being answered"
        )
        stages = Histogram(
            "earshot_stage_duration_seconds",
            f"Time that a block of up to {MAX_BATCH_SIZE} clips of one recording takes in a stage",
            ("stage",),
            buckets=_STAGE_BUCKETS,
            registry=self._registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in _STAGES}
        self._batches = Histogram(
            "earshot_batch_clips",
            "Clips that a network is given together",
            buckets=range(1, MAX_BATCH_SIZE + 1),
            registry=self._registry,
        )
        self._queued = self._gauge("earshot_queue_clips", "Clips that wait for a network")
        self._loaded = self._gauge("earshot_checkpoints_loaded", "Checkpoints that are loaded")
        self._predictions = Counter(
            "earshot_predictions",
            "Answers by their most probable label; of a live stream, one each hop",
            ("task", "checkpoint", "label"),
            registry=self._registry,
        )
        self._audio_seconds = Counter(
            "earshot_audio_seconds", "Seconds of sound that were answered", registry=self._registry
        )
        self._problems = Counter(
            "earshot_problems",
            "Requests, and files of batches, that were answered with a problem",
            ("type",),
            registry=self._registry,
        )
        for problem_type in _EXPECTED_PROBLEMS:
            self._problems.labels(problem_type)

    def record_stage(self, stage: Stage, began: float, ended: float) -> None:
        """See `Instrumentation.record_stage`."""
        self._stages[stage].observe(ended - began)
        if self._on_stage is not None:
            self._on_stage(stage, began, ended)

    def record_batch(self, clips: int) -> None:
        """See `Instrumentation.record_batch`."""
        self._batches.observe(clips)

    def change_queue(self, clips: int) -> None:
        """See `Instrumentation.change_queue`."""
        self._queued.inc(clips)

    def set_loaded(self, checkpoints: int) -> None:
        """See `Instrumentation.set_loaded`."""
        self._loaded.set(checkpoints)

    def begin_request(self) -> None:
        """Count a request that is being answered."""
        self._in_flight.inc()

    def end_request(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """Record the end of a request that began.

        Args:
            route: its template, never its path.
            method: one of HTTP's.
            status: of the answer.
            seconds: that it took; None for what lasts as long as the client wants.
        """
        self._in_flight.dec()
        labels = (route, method, str(status))
        self._requests.labels(*labels).inc()
        if seconds is not None:
            self._request_seconds.labels(*labels).observe(seconds)

    def count_prediction(
        self, task: str, checkpoint: str, label: str | None, seconds: float
    ) -> None:
        """Count a prediction for so many seconds of sound; the label is one of the card's."""
        self._predictions.labels(task, checkpoint, label or "none").inc()
        self._audio_seconds.inc(seconds)

    def count_problem(self, problem_type: str) -> None:
        """Count a request, or a file of a batch, that was answered with a problem."""
        self._problems.labels(problem_type).inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics, and their content type.

        With `PROMETHEUS_MULTIPROC_DIR`, those of every process that writes to that folder.

        Args:
            accept: the request's header; OpenMetrics is answered where it is asked for.
        """
        encode, content_type = exposition.choose_encoder(accept)
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return encode(self._registry), content_type
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # no stubs
        return encode(together), content_type

    def _gauge(self, name: str, meaning: str) -> Gauge:
        # Of several processes: their sum, without those that have ended.
        return Gauge(name, meaning, multiprocess_mode="livesum", registry=self._registry)
