"""Tell of a request as OpenTelemetry's spans: the request, its decision, each attempt at a server.

They are made of the rows at the end of the request, so that a request under way carries nothing; texts are never in
them. The names of attributes are those of OpenTelemetry's conventions for generative AI, and `greenllm.*` for the rest.
Only imported where spans are wanted.
"""

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from benchmarks.units import nanoseconds_to_seconds
from router.ended import Ended
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.terms import Scope

_LAST_WORDS_S = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPERATIONS = {Scope.GENERATE: "chat", Scope.EMBED: "embeddings"}  # every question goes to the models as one of a chat

Value = str | int | float | bool | list[str] | None


class Tracer:
    """Makes the spans of each request that has ended; the exporter sends them in a thread of its own."""

    def __init__(self, exporter: SpanExporter, *, service_name: str) -> None:
        resource = Resource.create({SERVICE_NAME: service_name})  # with OTEL_RESOURCE_ATTRIBUTES
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("greenllm")

    def tell(self, ended: Ended) -> None:
        """Make the spans of a request that has ended."""
        request, operation = ended.request, _OPERATIONS[ended.scope]
        span = self._begun(
            f"{operation} {request.requested_model}" if ended.deployment else operation,
            SpanKind.SERVER,
            _parent_of(ended.trace_parent),
            request.started_at,
            _of_request(ended),
        )
        context = set_span_in_context(span)
        if ended.decision is not None:
            decision = self._begun(
                "decide", SpanKind.INTERNAL, context, request.started_at, _of_decision(ended.decision)
            )
            decision.end(_nanoseconds(ended.decision.decided_at))
        for attempt in ended.attempts:
            self._tell_attempt(attempt, operation, context)
        if request.state == GatewayRequest.State.FAILED:
            span.set_status(Status(StatusCode.ERROR))
        span.end(_nanoseconds(request.finished_at))

    def close(self) -> None:
        """Send what is left, as far as a moment is enough for that."""
        sending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        sending.start()
        sending.join(_LAST_WORDS_S)

    def _tell_attempt(self, attempt: UpstreamAttempt, operation: str, context: Context) -> None:
        name, known = f"{operation} {attempt.deployment.language_model.name}", _of_attempt(attempt, operation)
        span = self._begun(name, SpanKind.CLIENT, context, attempt.started_at, known)
        if attempt.outcome == UpstreamAttempt.Outcome.FAILED:
            span.set_status(Status(StatusCode.ERROR))
        span.end(_nanoseconds(attempt.finished_at))

    def _begun(
        self, name: str, kind: SpanKind, context: Context, moment: datetime, attributes: Mapping[str, Value]
    ) -> Span:
        known = {key: value for key, value in attributes.items() if value is not None and value != ""}
        return self._tracer.start_span(name, context, kind, attributes=known, start_time=_nanoseconds(moment))


def _of_request(ended: Ended) -> dict[str, Value]:
    request = ended.request
    predicted_gco2e, quality = ended.predicted
    return {
        "gen_ai.operation.name": _OPERATIONS[ended.scope],
        "gen_ai.provider.name": "greenllm",
        "gen_ai.request.model": request.requested_model,
        "gen_ai.response.model": ended.model if request.state == GatewayRequest.State.ANSWERED else None,
        "gen_ai.response.id": request.public_id,
        "gen_ai.usage.input_tokens": _sum(one.prompt_token_count for one in ended.attempts),
        "gen_ai.usage.output_tokens": _sum(one.output_token_count for one in ended.attempts),
        "error.type": request.error_code,
        "greenllm.surface": request.surface,
        "greenllm.state": request.state,
        "greenllm.key": f"{ended.key_name} ({ended.key_prefix})" if ended.key_prefix else None,
        "greenllm.background": request.background_task,
        "greenllm.cache.hit": request.cache_hit,
        "greenllm.cache.saved_gco2e": request.cache_saved_gco2e,
        "greenllm.predicted_gco2e": predicted_gco2e,
        "greenllm.predicted_quality": quality,
        "greenllm.saved_gco2e": ended.saved_gco2e,
    }


def _of_decision(decision: RoutingDecision) -> dict[str, Value]:
    return {
        "greenllm.model": decision.chosen.language_model.name,
        "greenllm.policy": decision.policy,
        "greenllm.reason": decision.reason,
        "greenllm.category": decision.category.name if decision.category else None,
        "greenllm.embedding_ms": decision.embedding_ms,
        "greenllm.search_ms": decision.search_ms,
        "greenllm.choice_ms": decision.choice_ms,
        "greenllm.predicted_gco2e": decision.predicted_sci_gco2e,
        "greenllm.predicted_quality": decision.predicted_quality,
        "greenllm.discarded_runs": len(decision.steps) or None,
    }


def _of_attempt(attempt: UpstreamAttempt, operation: str) -> dict[str, Value]:
    server, model, measurement = attempt.deployment.server, attempt.deployment.language_model.name, attempt.measurement
    address = urlsplit(server.base_url)
    first_ns = attempt.time_to_first_token_ns
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": server.kind,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model if attempt.outcome == UpstreamAttempt.Outcome.FINISHED else None,
        "gen_ai.response.finish_reasons": [attempt.done_reason] if attempt.done_reason else None,
        "gen_ai.response.time_to_first_chunk": None if first_ns is None else nanoseconds_to_seconds(first_ns),
        "gen_ai.usage.input_tokens": attempt.prompt_token_count,
        "gen_ai.usage.output_tokens": attempt.output_token_count,
        "server.address": address.hostname,
        "server.port": address.port,
        "error.type": attempt.error_kind,
        "greenllm.attempt": attempt.number,
        "greenllm.outcome": attempt.outcome,
        "greenllm.server": server.name,
        "greenllm.measured_gco2e": measurement.sci_gco2e if measurement else None,
        "greenllm.measured_quality": measurement.quality if measurement else None,
    }


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _parent_of(trace_parent: str) -> Context:
    """Return the span of the caller; without one, or where it is not well formed, nothing: a trace of its own."""
    return TraceContextTextMapPropagator().extract({"traceparent": trace_parent} if trace_parent else {}, Context())


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1000
