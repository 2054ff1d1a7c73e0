"""GET /v1/greenllm/requests/{id} and /v1/greenllm/key: what became of a request, and what a key was used for."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from router.answering import Caller
from router.api.endpoint import endpoint
from router.contract import Detail, carbon_of
from router.key_terms import terms_as_json
from router.key_use import denied_of_key
from router.limiting import blocking_limiter
from router.looking_up import find_request, use_of_key
from router.models import ApiKey, GatewayRequest, UpstreamAttempt
from router.steps import made_by
from router.wires.fields import WireError


@endpoint("GET")
def request_by_id(request: HttpRequest, caller: Caller, public_id: str) -> HttpResponse:
    found = find_request(caller=caller, public_id=public_id)
    if found is None:
        raise WireError(
            f"This key has made no request {public_id!r}; the id is in the header X-GreenLLM-Request-Id of its answer.",
            status=404,
            code="request_not_found",
            param="id",
        )
    attempts = sorted(found.attempts.all(), key=lambda attempt: attempt.number)
    return JsonResponse(
        {
            "object": "greenllm.request",
            "id": found.public_id,
            "surface": found.surface,
            "state": found.state,
            "error": found.error or None,
            "started_at": _moment(found.started_at),
            "finished_at": _moment(found.finished_at),
            "attempts": [_attempt(one) for one in attempts],
            "cache": _cache(found),
            "greenllm": _carbon(found, attempts, Detail.FULL.shown_to(caller)),
        }
    )


@endpoint("GET")
def own_key(request: HttpRequest, caller: Caller) -> HttpResponse:
    key = None if caller.api_key_id is None else ApiKey.objects.filter(pk=caller.api_key_id).first()
    if key is None:
        raise WireError("There is no key to tell of: this request came without one.", status=404, code="no_key")
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    spans = {"today": midnight, "month": midnight.replace(day=1)}
    return JsonResponse(
        {
            "object": "greenllm.key",
            "name": key.name,
            "prefix": key.prefix,
            "created_at": _moment(key.created_at),
            "policy": key.policy or None,
            **terms_as_json(key=key, limiter=blocking_limiter(settings.REDIS_URL), now=timezone.now()),
            "use": {span: {"since": _moment(since), **_used(key, since)} for span, since in spans.items()},
        }
    )


def _cache(found: GatewayRequest) -> dict[str, Any] | None:
    if not found.cache_hit:
        return None
    saved = {"saved_gco2e": found.cache_saved_gco2e, "quality": found.cache_saved_quality or "missing"}
    return {"hit": found.cache_hit, **saved}


def _used(key: ApiKey, since: datetime) -> dict[str, Any]:
    asked, background, cache = use_of_key(key=key, since=since)
    return {
        **asdict(asked),
        "background": asdict(background),
        "cache": [asdict(one) for one in cache],
        "denied": denied_of_key(key=key, since=since),
    }


def _carbon(found: GatewayRequest, attempts: list[UpstreamAttempt], detail: Detail) -> dict[str, Any] | None:
    decision = getattr(found, "decision", None)
    if decision is None:  # it was refused before anything was decided, or only embedded
        return None
    discarded = {step.attempt_number for step in made_by(found.public_id, decision.steps)}
    latest = next((attempt for attempt in reversed(attempts) if attempt.number not in discarded), None)
    return dict(
        carbon_of(
            request=found,
            decision=decision,
            deployment=latest.deployment if latest else decision.chosen,
            measurement=latest.measurement if latest else None,
            detail=detail,
        )
    )


def _attempt(attempt: UpstreamAttempt) -> dict[str, Any]:
    return {
        "model": attempt.deployment.language_model.name,
        "outcome": attempt.outcome,
        "error": attempt.error or None,
        "prompt_token_count": attempt.prompt_token_count,
        "output_token_count": attempt.output_token_count,
        "time_to_first_token_ns": attempt.time_to_first_token_ns,
        "total_duration_ns": attempt.total_duration_ns,
        "energy_j": attempt.measurement.energy_j if attempt.measurement else None,
        "sci_gco2e": attempt.measurement.sci_gco2e if attempt.measurement else None,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
