"""What the operations page reads: sums over the rollups of hours, and nothing of the requests themselves."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection
from django.db.models import DateTimeField, F, Func, QuerySet, Sum, Value

from benchmarks.models import Deployment
from greenllm.operations.latencies import Bucket, Latency, latency_of
from greenllm.operations.spans import LARGEST, STRONG, Asked, Span
from router.models import (
    AlternativeHour,
    DecisionHour,
    LatencyDay,
    LatencyHour,
    RoutingDecision,
)
from router.models.hours import Hour

Row = TypeVar("Row", bound=Hour)
_NOT_ROUTED = (RoutingDecision.Reason.PINNED.value,)
_NO_DURATION = Bucket(0, 0.0)
UNKNOWN_CATEGORY = "no category"
_NAMES = """
SELECT 'category', id, name FROM benchmarks_category UNION ALL
SELECT 'model', deployment.id, model.name FROM benchmarks_deployment AS deployment
JOIN benchmarks_languagemodel AS model ON model.id = deployment.language_model_id
"""
# of each time, in the order of the fields of Traffic
_TRAFFIC = """
SELECT coalesce(all_count, 0)::bigint, coalesce(failed_count, 0)::bigint, coalesce(cached_count, 0)::bigint,
       coalesce(background_count, 0)::bigint, coalesce(replaced_count, 0)::bigint, coalesce(output_count, 0)::bigint,
       coalesce(counted, 0)::bigint, coalesce(saved_count, 0)::bigint, coalesce(saved_gco2e, 0)::float8,
       coalesce(carbon.gco2e, 0)::float8, coalesce(carbon.n, 0)::bigint, coalesce(carbon.qualities, '{}')
FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY AS span (begins_at, ends_at, place)
CROSS JOIN LATERAL (
    SELECT sum(request_count) AS all_count,
           sum(request_count) FILTER (WHERE state IN ('failed', 'abandoned')) AS failed_count,
           sum(request_count) FILTER (WHERE cache_hit <> '') AS cached_count,
           sum(request_count) FILTER (WHERE is_background) AS background_count,
           sum(request_count) FILTER (WHERE is_replacement) AS replaced_count,
           sum(cache_saved_count) AS saved_count, sum(cache_saved_gco2e) AS saved_gco2e
    FROM router_requesthour WHERE began_at >= span.begins_at AND began_at < span.ends_at
) AS requests
CROSS JOIN LATERAL (
    SELECT sum(output_token_count) AS output_count, sum(output_counted) AS counted
    FROM router_attempthour WHERE began_at >= span.begins_at AND began_at < span.ends_at
) AS tokens
CROSS JOIN LATERAL (
    SELECT sum(gco2e) AS gco2e, sum(n) AS n, array_agg(quality ORDER BY quality) FILTER (WHERE n > 0) AS qualities
    FROM (
        SELECT quality, sum(predicted_count) AS n, sum(predicted_gco2e) AS gco2e FROM router_decisionhour
        WHERE is_live AND began_at >= span.begins_at AND began_at < span.ends_at GROUP BY quality
    ) AS of_quality
) AS carbon
ORDER BY place
"""


@dataclass(frozen=True)
class Names:
    """What ids mean; 0 and what was deleted have a word of their own."""

    categories: dict[int, str]
    models: dict[int, str]

    def category(self, pk: int) -> str:
        """Return the name of a category."""
        return self.categories.get(pk, UNKNOWN_CATEGORY if pk == 0 else f"category {pk}, deleted")

    def model(self, pk: int) -> str:
        """Return the name of a deployment's model."""
        return self.models.get(pk, f"deployment {pk}, deleted")


@dataclass(frozen=True)
class Traffic:
    """How many requests there were and what became of them; gCO2e as predicted, over `carbon_count` decisions."""

    request_count: int
    failed_count: int
    cached_count: int
    background_count: int
    replaced_count: int
    output_token_count: int
    output_counted: int
    cache_saved_count: int
    cache_saved_gco2e: float
    predicted_gco2e: float
    carbon_count: int
    qualities: tuple[str, ...]

    @property
    def failed_share(self) -> float | None:
        """Return the share of requests that failed; None without any."""
        return self.failed_count / self.request_count if self.request_count else None


@dataclass(frozen=True)
class Saving:
    """What choices cost beside a baseline (gCO2e), over the n decisions in which the two can be compared."""

    n: int
    chosen_gco2e: float
    baseline_gco2e: float
    qualities: tuple[str, ...] = ()

    @property
    def saved_gco2e(self) -> float:
        """Return what was saved; below 0 where the choices cost more."""
        return self.baseline_gco2e - self.chosen_gco2e

    @property
    def share(self) -> float | None:
        """Return the saving as a share of the baseline's cost."""
        return self.saved_gco2e / self.baseline_gco2e if self.baseline_gco2e else None


@dataclass
class CarbonPoint:
    """One step of time: n, predicted gCO2e and how that came about of each group, whose n is 0 where it is missing."""

    at: datetime
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    gco2e: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    qualities: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def mass_g(self, name: str) -> float | None:
        """Return the predicted gCO2e of a group; None where none of its decisions had one."""
        return self.gco2e[name] if self.counts.get(name) else None

    @property
    def all_qualities(self) -> tuple[str, ...]:
        """Return how the energies of all groups came about."""
        return tuple(sorted(set().union(*self.qualities.values())))


@dataclass(frozen=True)
class SavingPoint:
    """One step of time with its saving."""

    at: datetime
    saving: Saving


def names() -> Names:
    """Return the names of all categories and deployments, in one query."""
    found: dict[str, dict[int, str]] = {"category": {}, "model": {}}
    with connection.cursor() as cursor:
        cursor.execute(_NAMES)
        for kind, pk, name in cursor.fetchall():
            found[kind][pk] = name
    return Names(found["category"], found["model"])


def traffic(spans: Sequence[Span]) -> list[Traffic]:
    """Return the sums of each of some times, in one query."""
    asked = {"begins": [one.begins_at for one in spans], "ends": [one.ends_at for one in spans]}
    with connection.cursor() as cursor:
        cursor.execute(_TRAFFIC, asked)
        return [Traffic(*[*figures, tuple(qualities)]) for *figures, qualities in cursor.fetchall()]


def routed_shares(span: Span, known: Names) -> dict[tuple[str, str], int]:
    """Return how many prompts of each category the router sent to each model; named models do not count."""
    rows = _live(span).exclude(reason__in=_NOT_ROUTED).values_list("category_id", "chosen_id")
    found: dict[tuple[str, str], int] = defaultdict(int)
    for category, chosen, n in rows.annotate(n=Sum("decision_count")).order_by():
        if n:
            found[known.category(category), known.model(chosen)] += n
    return dict(found)


def carbon_over_time(asked: Asked, span: Span, known: Names) -> list[CarbonPoint]:
    """Return the predicted gCO2e of what was chosen, step by step, parted as asked for."""
    column = {"model": "chosen_id", "category": "category_id"}.get(asked.group, asked.group)
    rows = _stepped(_live(span), span).values_list("step", column, "quality")
    points: dict[datetime, CarbonPoint] = {}
    sums = rows.annotate(n=Sum("predicted_count"), g=Sum("predicted_gco2e"))
    for at, value, quality, n, gco2e in sums.order_by("step"):
        name = _group_name(asked.group, value, known)
        point = points.setdefault(at, CarbonPoint(at))
        point.counts[name] += n
        point.gco2e[name] += float(gco2e)
        if n:
            point.qualities[name].add(quality)
    return [points[at] for at in sorted(points)]


def saving_over_time(baseline: str, span: Span) -> list[SavingPoint]:
    """Return what was saved against a baseline, step by step."""
    found = _stepped(_against(baseline, span), span).values_list("step", "quality")
    sums = found.annotate(n=Sum("decision_count"), chosen=Sum("chosen_gco2e"), other=Sum("alternative_gco2e"))
    steps: dict[datetime, list[Saving]] = defaultdict(list)
    for at, quality, n, chosen, other in sums.order_by("step", "quality"):
        if n:
            steps[at].append(Saving(n, float(chosen), float(other), (quality,)))
    return [SavingPoint(at, _together(savings)) for at, savings in steps.items()]


def total_saving(points: list[SavingPoint]) -> Saving:
    """Return what was saved in all."""
    return _together([one.saving for one in points])


def _together(savings: Sequence[Saving]) -> Saving:
    return Saving(
        sum(one.n for one in savings),
        sum(one.chosen_gco2e for one in savings),
        sum(one.baseline_gco2e for one in savings),
        tuple(sorted({quality for one in savings for quality in one.qualities})),
    )


def latencies(span: Span) -> list[Latency]:
    """Return how long each part of answering took, in the order in which they come; at most two queries."""
    found: dict[str, dict[int, Bucket]] = defaultdict(dict)
    for part, bucket, n, total in _latency_sums(span):
        found[part][bucket] = found[part].get(bucket, _NO_DURATION) + Bucket(n, float(total))
    parts = ("decision", "first_token", "upstream", "total")
    return [latency_of(part, found[part]) for part in parts]


def _latency_sums(span: Span) -> Iterator[tuple[str, int, int, Decimal]]:
    """Yield parts and buckets with their counts and milliseconds: whole days by the day, what is around by the hour."""
    hours, days = LatencyHour.objects.all(), span.whole_days
    if days is not None:
        yield from _summed(LatencyDay.objects.filter(began_at__gte=days.begins_at, began_at__lt=days.ends_at))
        hours = hours.exclude(began_at__gte=days.begins_at, began_at__lt=days.ends_at)
    yield from _summed(_within(hours, span))


def _summed(rows: QuerySet[Any]) -> Any:
    sums = rows.values_list("part", "bucket").annotate(n=Sum("occurrence_count"), ms=Sum("duration_ms"))
    return sums.order_by()


def largest_deployment() -> Deployment | None:
    """Return the active deployment of the model whose weights take the most space, None without any."""
    active = Deployment.objects.of_models().filter(state=Deployment.State.ACTIVE).select_related("language_model")
    return active.order_by(F("language_model__size_bytes").desc(nulls_last=True), "pk").first()


def _against(baseline: str, span: Span) -> QuerySet[AlternativeHour]:
    within = _within(AlternativeHour.objects.all(), span)
    if baseline == STRONG:
        return within.filter(is_baseline=True)
    if baseline == LARGEST:
        largest = largest_deployment()
        return within.filter(alternative_id=largest.pk if largest else 0)
    return within.filter(alternative_id=int(baseline))


def _live(span: Span) -> QuerySet[DecisionHour]:
    return _within(DecisionHour.objects.filter(is_live=True), span)


def _within(rows: QuerySet[Row], span: Span) -> QuerySet[Row]:
    return rows.filter(began_at__gte=span.begins_at, began_at__lt=span.ends_at)


def _stepped(rows: QuerySet[Any], span: Span) -> Any:  # annotated, which no plain type tells
    step = Func(Value(span.step), F("began_at"), Value(span.origin), function="date_bin", output_field=DateTimeField())
    return rows.annotate(step=step)


def _group_name(group: str, value: Any, known: Names) -> str:
    if group == "model":
        return known.model(value)
    if group == "category":
        return known.category(value)
    if group == "reason":
        return str(dict(RoutingDecision.Reason.choices).get(value, value))
    return str(value)
