"""How often keys were refused, kept by the hour: a refusal costs no write, however many come.

Each process adds them up in memory and stores the sums every few seconds and as it ends; one that is killed loses what
it had added up since.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime

from django.db import DatabaseError
from django.db.models import F, Sum
from django.db.models.functions import TruncDate

from router.models import ApiKey, KeyDenial


class Sums:
    """What was refused since it was stored, by key and reason; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[int, str]] = Counter()

    def add(self, key_id: int, reason: str, count: int = 1) -> None:
        """Add a refusal, or several."""
        with self._lock:
            self._counts[key_id, reason] += count

    def take(self) -> Counter[tuple[int, str]]:
        """Return all of it, and begin anew."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken


SUMS = Sums()


def store_denials(*, now: datetime, sums: Sums = SUMS) -> None:
    """Store what was added up in the present hour; where that fails it is kept for the next time.

    Raises:
        DatabaseError: it failed.
    """
    taken = sums.take()
    if not taken:
        return
    began_at = now.replace(minute=0, second=0, microsecond=0)
    try:
        there = set(ApiKey.objects.filter(pk__in={key_id for key_id, _ in taken}).values_list("pk", flat=True))
        for (key_id, reason), count in sorted(taken.items()):  # in order, so that no two processes wait for each other
            if key_id in there:
                _add(key_id, reason, count, began_at)
            del taken[key_id, reason]
    except DatabaseError:
        for (key_id, reason), count in taken.items():
            sums.add(key_id, reason, count)
        raise


def denials_by_day(*, key: ApiKey, since: datetime) -> Mapping[date, Counter[str]]:
    """Return how often a key was refused, by day (UTC) and reason. One query."""
    rows = (
        KeyDenial.objects.filter(api_key=key, began_at__gte=since)
        .annotate(day=TruncDate("began_at", tzinfo=UTC))
        .order_by()
        .values_list("day", "reason")
        .annotate(total=Sum("count"))
    )
    days: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for day, reason, total in rows:
        days[day][reason] += total
    return days


def denials_since(*, key: ApiKey, since: datetime) -> Counter[str]:
    """Return how often a key was refused since the hour of a moment, by reason. One query."""
    hour = since.replace(minute=0, second=0, microsecond=0)
    rows = KeyDenial.objects.filter(api_key=key, began_at__gte=hour).order_by().values_list("reason")
    return Counter(dict(rows.annotate(total=Sum("count"))))


def _add(key_id: int, reason: str, count: int, began_at: datetime) -> None:
    own = KeyDenial.objects.filter(api_key_id=key_id, began_at=began_at, reason=reason)
    if not own.update(count=F("count") + count):
        row = KeyDenial(api_key_id=key_id, began_at=began_at, reason=reason, count=0)
        KeyDenial.objects.bulk_create([row], ignore_conflicts=True)
        own.update(count=F("count") + count)
