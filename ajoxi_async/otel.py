"""OpenTelemetry tracing and metrics of a client's requests (``ajoxi-async[otel]``).

    client = AsyncAjoxi(hooks=instrument())

Rules (OpenTelemetry semantic conventions for HTTP, stable):
1. One CLIENT span an attempt, named by method and path template, with ``http.request.resend_count`` from the second on.
2. ``traceparent`` goes along with each attempt.
3. ``url.full`` has no query: it may hold phone numbers.
4. ``http.client.request.duration`` in seconds; ``ajoxi.client.limiter.wait`` in seconds; ``ajoxi.client.rate_limited``
   counts 429 answers.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.pipeline.hooks import Hooks, RateLimitedEvent, RequestEvent, ResponseEvent
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.protocol.retry import Fate

__all__ = ["instrument"]

_SCOPE = "ajoxi_async"
#: The histogram's buckets that the conventions recommend, in seconds.
_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


def instrument(*, tracer_provider: Any = None, meter_provider: Any = None) -> Hooks:
    """Hooks that make spans and metrics.

    Args:
        tracer_provider: by default the global one.
        meter_provider: by default the global one.

    Raises:
        ConfigurationError: opentelemetry-api is not installed.
    """
    try:
        from opentelemetry import metrics, propagate, trace
    except ImportError:
        raise ConfigurationError("instrument needs opentelemetry: pip install 'ajoxi-async[otel]'") from None
    tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
    meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
    duration = meter.create_histogram(
        "http.client.request.duration",
        unit="s",
        description="Duration of HTTP client requests.",
        explicit_bucket_boundaries_advisory=_BUCKETS,
    )
    waits = meter.create_histogram(
        "ajoxi.client.limiter.wait",
        unit="s",
        description="Time an attempt waited for its turn at the rate limiter.",
    )
    refusals = meter.create_counter("ajoxi.client.rate_limited", description="429 answers.")
    spans: dict[tuple[int, int], trace.Span] = {}

    def begin(event: RequestEvent) -> None:
        attributes = _attributes(event)
        span = tracer.start_span(
            f"{event.method} {_template(event.route)}",
            kind=trace.SpanKind.CLIENT,
            attributes={
                **attributes,
                "url.full": event.url.partition("?")[0],
                "ajoxi.route": event.route,
                "ajoxi.limiter.lane": event.lane,
                **({"http.request.resend_count": event.attempt - 1} if event.attempt > 1 else {}),
            },
        )
        spans[event.call, event.attempt] = span
        propagate.inject(event.headers, context=trace.set_span_in_context(span))
        waits.record(event.waited, {"ajoxi.limiter.lane": event.lane})

    def end(event: ResponseEvent) -> None:
        attributes = _attributes(event)
        if event.status is not None:
            attributes["http.response.status_code"] = event.status
        if event.fate is not Fate.DONE:
            attributes["error.type"] = str(event.status) if event.status is not None else event.fate.value
        duration.record(event.elapsed, attributes)
        span = spans.pop((event.call, event.attempt), None)
        if span is None:
            return
        span.set_attributes(attributes)
        if event.request_id is not None:
            span.set_attribute("ajoxi.request_id", event.request_id)
        if event.fate is not Fate.DONE:
            span.set_status(trace.Status(trace.StatusCode.ERROR, event.error))
        span.end()

    def refused(event: RateLimitedEvent) -> None:
        refusals.add(1, {"ajoxi.route": event.route})

    return Hooks(on_request=begin, on_response=end, on_rate_limited=refused)


def _template(route: str) -> str:
    return ROUTES[route].path if route in ROUTES else route


def _attributes(event: RequestEvent | ResponseEvent) -> dict[str, Any]:
    parts = urlsplit(event.url)
    return {
        "http.request.method": event.method,
        "url.template": _template(event.route),
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }
