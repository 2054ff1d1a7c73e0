"""Count a request at its end, and a measurement when it is there, for whoever scrapes `/metrics`."""

from benchmarks.units import nanoseconds_to_seconds
from router import metrics
from router.ended import Ended
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.terms import Scope

_DECISION_PARTS = ("embedding", "search", "choice")


def count_request(ended: Ended) -> None:
    """Count a request that has ended, with its tokens, its carbon and its times."""
    request = ended.request
    model = metrics.models(ended.model)
    metrics.series(metrics.REQUESTS, ended.scope, request.surface, request.state, model, request.background_task).inc()
    if request.finished_at is not None:
        took = request.finished_at - request.started_at
        metrics.series(metrics.DURATION, model, request.state).observe(took.total_seconds())
    _count_attempts(ended)
    if ended.decision is not None:
        _count_decision(ended.decision)
    if ended.is_answered:
        _count_carbon(ended, model)
    if request.cache_hit:
        metrics.series(metrics.CACHE_HITS, request.cache_hit, model).inc()
        if request.cache_saved_gco2e is not None:
            saved = metrics.series(metrics.CACHE_SAVED, request.cache_hit, request.cache_saved_quality)
            saved.observe(request.cache_saved_gco2e)
    if ended.key_prefix:
        _count_key(ended)


def count_measured(request: GatewayRequest, attempt: UpstreamAttempt) -> None:
    """Count what an attempt was measured to cost; nothing where that is not known."""
    measurement = attempt.measurement
    if measurement is not None and measurement.sci_gco2e is not None:
        model = metrics.models(attempt.deployment.language_model.name)
        family = metrics.series(metrics.MEASURED, model, measurement.quality, request.background_task)
        family.observe(measurement.sci_gco2e)


def count_route(decision: RoutingDecision, *, surface: str, key_name: str, key_prefix: str) -> None:
    """Count a route that was told without an answer, and the parts of its decision."""
    state, model = GatewayRequest.State.ANSWERED, metrics.models(decision.chosen.language_model.name)
    metrics.series(metrics.REQUESTS, Scope.ROUTE, surface, state, model, "").inc()
    _count_decision(decision)
    if key_prefix:
        metrics.series(metrics.KEY_REQUESTS, *key_labels(key_name, key_prefix), Scope.ROUTE, state).inc()


def key_labels(name: str, prefix: str) -> tuple[str, str]:
    """Return the labels that stand for a key: its own, or for what came past the bound those that it shares."""
    whose = f"{name} ({prefix})"
    return (name, prefix) if metrics.keys(whose) == whose else (metrics.OTHERS, "")


def _count_attempts(ended: Ended) -> None:
    for attempt in ended.attempts:
        model = metrics.models(attempt.deployment.language_model.name)
        for kind, count in _tokens_of(attempt):
            metrics.series(metrics.TOKENS, model, kind, ended.request.background_task).inc(count)
        if attempt.time_to_first_token_ns is not None:
            metrics.series(metrics.FIRST_TOKEN, model).observe(nanoseconds_to_seconds(attempt.time_to_first_token_ns))


def _count_decision(decision: RoutingDecision) -> None:
    for part in _DECISION_PARTS:
        took_ms = getattr(decision, f"{part}_ms")
        if took_ms is not None:
            metrics.series(metrics.DECISION, part).observe(took_ms / 1000)


def _count_carbon(ended: Ended, model: str) -> None:
    predicted_gco2e, quality = ended.predicted
    labels = (model, quality, ended.request.background_task)
    if predicted_gco2e is not None:
        metrics.series(metrics.PREDICTED, *labels).observe(predicted_gco2e)
    saved_gco2e = ended.saved_gco2e
    if saved_gco2e is not None:
        # a sum that falls would look like a process that began anew, so what costs more is a sum of its own
        family = metrics.SAVED if saved_gco2e >= 0 else metrics.EXTRA
        metrics.series(family, *labels).observe(abs(saved_gco2e))


def _count_key(ended: Ended) -> None:
    name, prefix = key_labels(ended.key_name, ended.key_prefix)
    metrics.series(metrics.KEY_REQUESTS, name, prefix, ended.scope, ended.request.state).inc()
    for attempt in ended.attempts:
        for kind, count in _tokens_of(attempt):
            metrics.series(metrics.KEY_TOKENS, name, prefix, kind).inc(count)
    predicted_gco2e, quality = ended.predicted
    if ended.is_answered and predicted_gco2e is not None:
        metrics.series(metrics.KEY_PREDICTED, name, prefix, quality).observe(predicted_gco2e)


def _tokens_of(attempt: UpstreamAttempt) -> list[tuple[str, int]]:
    counts = (("prompt", attempt.prompt_token_count), ("output", attempt.output_token_count))
    return [(kind, count) for kind, count in counts if count is not None]
