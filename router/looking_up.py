"""Look up afterwards what became of a request, and how much a key has asked for."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Q, QuerySet, Sum

from router.answering import Caller
from router.models import ApiKey, GatewayRequest, UpstreamAttempt
from router.predicted import PREDICTED_IN_ALL


@dataclass(frozen=True)
class KeyUse:
    """What a key was used for in a span of time; requests that failed count, tokens only where a server reported them.

    `predicted_gco2e` is the sum over the `predicted_count` requests whose cost was expected, with the runs of a cascade
    that were discarded; None where there is none.
    """

    request_count: int
    prompt_token_count: int
    output_token_count: int
    predicted_gco2e: float | None
    predicted_count: int


@dataclass(frozen=True)
class CacheUse:
    """Answers of the cache that were given, and what those of one quality cost when they were made.

    `saved_gco2e` is the sum over the `saved_count` answers of which it is known, None where of none.
    """

    quality: str
    hit_count: int
    saved_gco2e: float | None
    saved_count: int


def cache_use(requests: QuerySet[GatewayRequest]) -> list[CacheUse]:
    """Return what the cache saved some requests, a row for each quality: figures of unlike kind are not added."""
    rows = (
        requests.exclude(cache_hit="")
        .order_by("cache_saved_quality")
        .values_list("cache_saved_quality")
        .annotate(Count("pk"), Sum("cache_saved_gco2e"), Count("cache_saved_gco2e"))
    )
    return [CacheUse(quality or "missing", *rest) for quality, *rest in rows]


def find_request(*, caller: Caller, public_id: str) -> GatewayRequest | None:
    """Return a request of the caller: made with the same key, or by the same person."""
    if caller.api_key_id is None:
        return None
    own = Q(api_key_id=caller.api_key_id)
    if caller.user_id is not None:
        own |= Q(user_id=caller.user_id)
    return (
        GatewayRequest.objects.filter(own, public_id=public_id)
        .select_related("decision__chosen__language_model", "decision__category", "decision__version")
        .prefetch_related("attempts__deployment__language_model", "attempts__measurement")
        .first()
    )


def use_of_key(*, key: ApiKey, since: datetime) -> tuple[KeyUse, KeyUse, list[CacheUse]]:
    """Return what a key was used for since a moment; apart from it, by chat clients on their own, and by the cache."""
    requests = GatewayRequest.objects.filter(api_key=key, started_at__gte=since)
    asked = Q(background_task="")
    return _use(requests.filter(asked)), _use(requests.exclude(asked)), cache_use(requests)


def _use(requests: QuerySet[GatewayRequest]) -> KeyUse:
    counted = requests.aggregate(
        request_count=Count("pk"),
        predicted_gco2e=Sum(PREDICTED_IN_ALL),
        predicted_count=Count("decision__predicted_sci_gco2e"),
    )
    tokens = UpstreamAttempt.objects.filter(request__in=requests).aggregate(
        prompt=Sum(F("prompt_token_count")), output=Sum(F("output_token_count"))
    )
    return KeyUse(prompt_token_count=tokens["prompt"] or 0, output_token_count=tokens["output"] or 0, **counted)
