"""How things stand at this moment: requests under way, queues, workers and the budgets of keys."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection as db_connection
from django.db.models import Q, QuerySet
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker

from benchmarks.queueing import impatient_connection
from router.models import ApiKey, KeyDay, KeyHour

MOST_KEYS = 50
_LONGEST_NAME = 16
_SPANS = ("hour", "day", "month")
_REQUESTS = """
SELECT (SELECT count(*) FROM router_gatewayrequest WHERE state = 'running'),
       (SELECT coalesce(sum(request_count), 0)::bigint FROM router_requesthour WHERE began_at = %s)
"""


@dataclass(frozen=True)
class QueueRow:
    """One queue of the workers."""

    name: str
    waiting_count: int
    running_count: int
    failed_count: int


@dataclass(frozen=True)
class WorkerRow:
    """One worker: which queues it serves, and what it does."""

    name: str
    queues: tuple[str, ...]
    state: str
    seen_at: datetime | None

    @property
    def short_name(self) -> str:
        """Return what tells it apart at a glance: RQ names workers by 32 random digits."""
        return self.name if len(self.name) <= _LONGEST_NAME else f"{self.name[:8]}…"


@dataclass(frozen=True)
class Budget:
    """What one key spent (gCO2e) in one hour, day or month that has a limit."""

    key: ApiKey
    span: str
    spent_gco2e: float
    soft_gco2e: float | None
    hard_gco2e: float | None
    request_count: int

    @property
    def limit_gco2e(self) -> float:
        """Return the limit that counts: the hard one where there is one."""
        return self.hard_gco2e or self.soft_gco2e or 0.0

    @property
    def share(self) -> float:
        """Return how much of the limit is spent."""
        return self.spent_gco2e / self.limit_gco2e if self.limit_gco2e else 0.0

    @property
    def is_spent(self) -> bool:
        """Tell whether the limit is reached."""
        return self.share >= 1


@dataclass(frozen=True)
class Standing:
    """The present moment; queues and workers are None where Valkey does not answer."""

    at: datetime
    under_way_count: int
    hour_count: int
    queues: tuple[QueueRow, ...] | None
    workers: tuple[WorkerRow, ...] | None

    @property
    def waiting_count(self) -> int:
        """Return how many jobs wait in all queues."""
        return sum(one.waiting_count for one in self.queues or ())


def standing(*, now: datetime) -> Standing:
    """Return how things stand, in one query of Postgres and some of Valkey."""
    with db_connection.cursor() as cursor:
        cursor.execute(_REQUESTS, [now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)])
        under_way, hour = cursor.fetchone()
    try:
        with impatient_connection() as connection:
            queues, workers = _queues(connection), _workers(connection)
    except RedisError:
        return Standing(now, under_way, hour, None, None)
    return Standing(now, under_way, hour, queues, workers)


def budgets(*, now: datetime) -> list[Budget]:
    """Return the budgets of keys in use, the most spent first, of at most fifty keys. Three queries."""
    keys = list(_keys_with_budgets()[:MOST_KEYS])
    now = now.astimezone(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = {one.api_key_id: one for one in KeyHour.objects.filter(api_key__in=keys, began_at=hour)}
    days = KeyDay.objects.filter(
        api_key__in=keys, day__gte=now.date().replace(day=1), day__lt=now.date() + timedelta(1)
    )
    spent: dict[tuple[int, str], list[float]] = {}
    for one in days:
        for span in ("day", "month") if one.day == now.date() else ("month",):
            sums = spent.setdefault((one.api_key_id, span), [0.0, 0])
            sums[0] += one.spent_gco2e
            sums[1] += one.request_count
    for key_id, row in hours.items():
        spent[key_id, "hour"] = [row.spent_gco2e, row.request_count]
    found = [_budget(key, span, spent.get((key.pk, span), [0.0, 0])) for key in keys for span in _SPANS]
    return sorted((one for one in found if one is not None), key=lambda one: (-one.share, one.key.pk))


def _budget(key: ApiKey, span: str, spent: list[float]) -> Budget | None:
    soft = None if span == "hour" else getattr(key, f"soft_gco2e_per_{span}")
    hard = key.budget_gco2e_per_hour if span == "hour" else getattr(key, f"hard_gco2e_per_{span}")
    return None if soft is None and hard is None else Budget(key, span, spent[0], soft, hard, int(spent[1]))


def _keys_with_budgets() -> QuerySet[ApiKey]:
    limits = (
        "budget_gco2e_per_hour",
        *(f"{kind}_gco2e_per_{span}" for kind in ("soft", "hard") for span in _SPANS[1:]),
    )
    wanted = Q()
    for name in limits:
        wanted |= Q((f"{name}__isnull", False))
    return ApiKey.objects.filter(wanted, revoked_at=None).select_related("owner").order_by("pk")


def _queues(connection: Redis) -> tuple[QueueRow, ...]:
    found = sorted(Queue.all(connection=connection), key=lambda one: str(one.name))
    return tuple(
        QueueRow(
            one.name,
            one.count,
            one.started_job_registry.get_job_count(cleanup=False),
            one.failed_job_registry.get_job_count(cleanup=False),
        )
        for one in found
    )


def _workers(connection: Redis) -> tuple[WorkerRow, ...]:
    found = Worker.all(connection=connection)
    rows = (WorkerRow(one.name, tuple(one.queue_names()), str(one.state), _aware(one.last_heartbeat)) for one in found)
    return tuple(sorted(rows, key=lambda row: row.name))


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
