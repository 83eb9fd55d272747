"""Spans and metrics of requests."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ajoxi_async import ConfigurationError, Hooks
from ajoxi_async.otel import instrument
from tests.pipeline.test_outcomes import Stalling, place

from .fakes import ENVELOPE, ScriptedTransport, answer, client_on

pytestmark = pytest.mark.anyio


class Telemetry:
    """Hooks, and what they led to."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.hooks: Hooks = instrument(
            tracer_provider=tracers, meter_provider=MeterProvider(metric_readers=[self._reader])
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    @property
    def metrics(self) -> dict[str, Any]:
        data: Any = self._reader.get_metrics_data()
        return {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}


async def test_a_span_for_each_attempt() -> None:
    """A retried call has two spans by the HTTP conventions, and both attempts carry their traceparent."""
    telemetry = Telemetry()
    transport = ScriptedTransport(answer(429, ENVELOPE, {"Retry-After": "1"}), answer(200, {"data": []}))
    await client_on(transport, hooks=telemetry.hooks).messages.list(conversation_id="conv_1")
    first, second = telemetry.spans
    assert first.name == second.name == "GET /v1/messages"
    assert first.attributes is not None
    assert second.attributes is not None
    assert first.attributes["http.response.status_code"] == 429
    assert first.attributes["error.type"] == "429"
    assert first.attributes["url.full"] == "https://api.ajoxi.com/v1/messages"
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert second.attributes["server.port"] == 443
    assert second.attributes["ajoxi.request_id"] == "req_0123456789abcdef"
    assert second.status.is_unset
    for request, span in zip(transport.requests, telemetry.spans, strict=True):
        assert request.headers["traceparent"].split("-")[2] == format(span.get_span_context().span_id, "016x")


async def test_metrics() -> None:
    """Durations, waits at the limiter and 429 answers are measured."""
    telemetry = Telemetry()
    transport = ScriptedTransport(answer(429, ENVELOPE), answer(200, {"id": "call_1"}))
    await client_on(transport, hooks=telemetry.hooks).calls.retrieve("call_1")
    metrics = telemetry.metrics
    assert sum(point.count for point in metrics["http.client.request.duration"].data.data_points) == 2
    assert metrics["http.client.request.duration"].unit == "s"
    assert metrics["ajoxi.client.limiter.wait"].data.data_points[0].count == 2
    assert metrics["ajoxi.client.rate_limited"].data.data_points[0].value == 1


async def test_a_cancelled_attempt_ends_its_span() -> None:
    """No span is left open by cancellation."""
    telemetry = Telemetry()
    transport = Stalling(sent=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place, client_on(transport, hooks=telemetry.hooks))
        await transport.begun.wait()
        tasks.cancel_scope.cancel()
    (span,) = telemetry.spans
    assert span.attributes is not None
    assert span.attributes["error.type"] == "unknown"


async def test_without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named when it is missing."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"ajoxi-async\[otel\]"):
        instrument()
