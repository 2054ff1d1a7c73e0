"""What a key was used for, day by day."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce, TruncDate

from router.key_denials import denials_by_day, denials_since
from router.models import ApiKey, GatewayRequest, UpstreamAttempt
from router.predicted import PREDICTED_IN_ALL
from router.spans import BudgetClosed
from router.terms import Denial

_BY_BUDGET = Q(error_code=BudgetClosed.__name__)


@dataclass(frozen=True)
class DayOfUse:
    """One day of a key, in UTC.

    `gco2e` is the sum over the `predicted_count` requests whose cost was expected, with what cascades discarded.

    Of the requests that were let in, `background_count` were sent by chat clients on their own, and the cache answered
    `cache_hit_count`. `denied` says how many were not let in, by the reason.
    """

    day: date
    request_count: int = 0
    background_count: int = 0
    cache_hit_count: int = 0
    failed_count: int = 0
    token_count: int = 0
    gco2e: float | None = None
    predicted_count: int = 0
    background_gco2e: float | None = None
    background_predicted_count: int = 0
    asked_gco2e: float | None = None
    denied: Mapping[str, int] = field(default_factory=dict)

    @property
    def denied_count(self) -> int:
        """Return how many were not let in."""
        return sum(self.denied.values())


def days_of_use(*, key: ApiKey, since: datetime) -> list[DayOfUse]:
    """Return the days on which a key was used or refused, the latest first. Three queries."""
    requests = GatewayRequest.objects.filter(api_key=key, started_at__gte=since).order_by()
    counted = (
        requests.annotate(day=TruncDate("started_at", tzinfo=UTC))
        .values("day")
        .annotate(
            request_count=Count("pk", filter=~_BY_BUDGET),
            background_count=Count("pk", filter=~Q(background_task="") & ~_BY_BUDGET),
            cache_hit_count=Count("pk", filter=~Q(cache_hit="")),
            failed_count=Count("pk", filter=Q(state=GatewayRequest.State.FAILED) & ~_BY_BUDGET),
            by_budget=Count("pk", filter=_BY_BUDGET),
            background_predicted_count=Count("decision__predicted_sci_gco2e", filter=~Q(background_task="")),
            background_gco2e=Sum(PREDICTED_IN_ALL, filter=~Q(background_task="")),
            asked_gco2e=Sum(PREDICTED_IN_ALL, filter=Q(background_task="")),
            gco2e=Sum(PREDICTED_IN_ALL),
            predicted_count=Count("decision__predicted_sci_gco2e"),
        )
    )
    tokens = (
        UpstreamAttempt.objects.filter(request__in=requests.values("pk"))
        .annotate(day=TruncDate("request__started_at", tzinfo=UTC))
        .order_by()
        .values_list("day")
        .annotate(count=Sum(Coalesce(F("prompt_token_count"), 0) + Coalesce(F("output_token_count"), 0)))
    )
    read_and_written = dict(tokens)
    denied = denials_by_day(key=key, since=since)
    days = {one["day"]: one for one in counted}
    return [
        _day(day, dict(days.get(day, {})), read_and_written.get(day, 0), denied.get(day, Counter()))
        for day in sorted({*days, *denied}, reverse=True)
    ]


def _day(day: date, counted: dict[str, Any], token_count: int, denied: Counter[str]) -> DayOfUse:
    """Return one day; what a budget refused as it was decided has rows of its own."""
    refused = denied + Counter({Denial.BUDGET.value: counted.pop("by_budget", 0)})
    return DayOfUse(**{"day": day, **counted}, token_count=token_count, denied=dict(sorted(refused.items())))


@dataclass(frozen=True)
class KindsOfUse:
    """What the requests of some days were; masses are sums over those whose cost was expected, None where of none."""

    asked_count: int
    asked_gco2e: float | None
    asked_predicted_count: int
    background_count: int
    background_gco2e: float | None
    background_predicted_count: int
    cache_hit_count: int
    denied: Mapping[str, int]

    @property
    def denied_count(self) -> int:
        """Return how many were not let in."""
        return sum(self.denied.values())


def kinds_of_use(days: Sequence[DayOfUse]) -> KindsOfUse:
    """Return what people asked apart from what chat clients sent on their own, and what nobody had to generate."""
    asked = [one.asked_gco2e for one in days if one.asked_gco2e is not None]
    background = [one.background_gco2e for one in days if one.background_gco2e is not None]
    background_count = sum(one.background_count for one in days)
    background_predicted_count = sum(one.background_predicted_count for one in days)
    return KindsOfUse(
        asked_count=sum(one.request_count for one in days) - background_count,
        asked_gco2e=sum(asked) if asked else None,
        asked_predicted_count=sum(one.predicted_count for one in days) - background_predicted_count,
        background_count=background_count,
        background_predicted_count=background_predicted_count,
        background_gco2e=sum(background) if background else None,
        cache_hit_count=sum(one.cache_hit_count for one in days),
        denied=dict(sum((Counter(one.denied) for one in days), Counter())),
    )


def denied_of_key(*, key: ApiKey, since: datetime) -> dict[str, int]:
    """Return how many requests of a key were not let in since a moment, by every reason there is. Two queries."""
    found = denials_since(key=key, since=since)
    found[Denial.BUDGET] += GatewayRequest.objects.filter(_BY_BUDGET, api_key=key, started_at__gte=since).count()
    return {reason.value: found[reason] for reason in Denial if reason != Denial.KEY}


def spent_by_key(*, keys: Sequence[ApiKey], since: datetime) -> dict[int, float]:
    """Return what the requests of keys were expected to cost since a moment (gCO2e), by the key. One query."""
    rows = (
        GatewayRequest.objects.filter(api_key__in=keys, started_at__gte=since)
        .order_by()
        .values_list("api_key")
        .annotate(total=Sum(PREDICTED_IN_ALL))
    )
    return {key_id: gco2e for key_id, gco2e in rows if gco2e is not None}
