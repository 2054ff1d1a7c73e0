"""What keys with a carbon budget for the day or the month have spent; a key without one has no rows."""

from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Count, F, Sum
from django.db.models.functions import Coalesce, Greatest, TruncDate

from router.models import ApiKey, GatewayRequest, KeyDay
from router.predicted import PREDICTED_IN_ALL
from router.spans import Span, next_day, next_month


def spans_of(*, key: ApiKey, now: datetime) -> tuple[Span, ...]:
    """Return how day and month of a key stand, those with a limit. One query, none where there is no limit."""
    has_day, has_month = key.has_day_budget, key.has_month_budget
    if not has_day and not has_month:
        return ()
    now = now.astimezone(UTC)
    rows = KeyDay.objects.filter(api_key=key, day__gte=now.date().replace(day=1), day__lte=now.date())
    spent = dict(rows.values_list("day", "spent_gco2e"))
    day = Span("day", key.soft_gco2e_per_day, key.hard_gco2e_per_day, spent.get(now.date(), 0.0), next_day(now))
    month = Span(
        "month", key.soft_gco2e_per_month, key.hard_gco2e_per_month, sum(spent.values(), start=0.0), next_month(now)
    )
    return ((day,) if has_day else ()) + ((month,) if has_month else ())


def book_day(*, api_key_id: int, sci_gco2e: float, now: datetime, is_further_run: bool = False) -> None:
    """Add a request, or one more run of it, to the day of a key."""
    day = now.astimezone(UTC).date()
    own = KeyDay.objects.filter(api_key_id=api_key_id, day=day)
    values = {
        "spent_gco2e": F("spent_gco2e") + sci_gco2e,
        "request_count": F("request_count") + (0 if is_further_run else 1),
    }
    if not own.update(**values):
        KeyDay.objects.bulk_create([KeyDay(api_key_id=api_key_id, day=day)], ignore_conflicts=True)
        own.update(**values)


def settle_day(*, api_key_id: int, began_at: datetime, difference_gco2e: float) -> None:
    """Correct what a key spent in a day by what requests cost beyond what was booked, or less where negative."""
    day = began_at.astimezone(UTC).date()
    after = Greatest(F("spent_gco2e") + difference_gco2e, 0.0)
    KeyDay.objects.filter(api_key_id=api_key_id, day=day).update(spent_gco2e=after)


def count_month_anew(*, key: ApiKey, now: datetime) -> None:
    """Fill the days of this month from the requests of a key, so that a new budget counts what was spent before it."""
    now = now.astimezone(UTC)
    began_at = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spent = (
        GatewayRequest.objects.filter(api_key=key, started_at__gte=began_at, decision__isnull=False)
        .annotate(day=TruncDate("started_at", tzinfo=UTC))
        .order_by()
        .values_list("day")
        .annotate(total=Coalesce(Sum(PREDICTED_IN_ALL), 0.0), count=Count("pk"))
    )
    with transaction.atomic():
        KeyDay.objects.filter(api_key=key, day__gte=began_at.date()).delete()
        KeyDay.objects.bulk_create(
            [KeyDay(api_key=key, day=day, spent_gco2e=total, request_count=count) for day, total, count in spent],
            ignore_conflicts=True,  # a request may be booked meanwhile
        )
