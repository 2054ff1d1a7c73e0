"""How fast people judge: their labels by days, with the time that they took. Only current labels count."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from labeling.drift import Per, period_length
from labeling.tallies import CURRENT, LONGEST_SECONDS
from labeling.unchanged import JUDGED, unchanged


@dataclass(frozen=True)
class Stretch:
    """What people judged in so many days (UTC), from the first label to the latest of it.

    `active_seconds` are those of the `timed_count` labels whose time is known, `LONGEST_SECONDS` a label at most.
    """

    first_at: datetime
    latest_at: datetime
    label_count: int
    person_count: int
    timed_count: int
    active_seconds: float

    @property
    def labels_per_hour(self) -> float | None:
        """Return the labels per active hour; None where no label was timed."""
        return 3600 * self.timed_count / self.active_seconds if self.active_seconds > 0 else None


@dataclass(frozen=True)
class Pace:
    """The stretches in order, without those that have no label, and how many days each is long."""

    day_count: int
    stretches: tuple[Stretch, ...]


_STRETCHES = f"""
WITH said AS (
    SELECT labeler_id, created_at,
           CASE WHEN active_seconds IS NOT NULL THEN least(active_seconds, %(longest)s) END AS seconds,
           (created_at AT TIME ZONE 'UTC')::date - (
               SELECT min((created_at AT TIME ZONE 'UTC')::date) FROM labeling_label
               WHERE {CURRENT} AND kind <> 'adjudication'
           ) AS place
    FROM labeling_label WHERE {CURRENT} AND kind <> 'adjudication'
)
SELECT min(created_at), max(created_at), count(*), count(DISTINCT labeler_id),
       count(seconds), coalesce(sum(seconds), 0)
FROM said GROUP BY place / %(days)s ORDER BY min(created_at)
"""  # noqa: S608 - put together of constants


def pace() -> Pace:
    """Return how many labels people gave, in at most `labeling.drift.MOST_PERIODS` stretches; in two queries.

    What is worked out is kept until a label changes.
    """
    return unchanged("labeling.pace", _pace, studies=[JUDGED], kind=Pace)


def _pace() -> Pace:
    days = period_length(Per.DAYS)
    with connection.cursor() as cursor:
        cursor.execute(_STRETCHES, {"longest": LONGEST_SECONDS, "days": days})
        return Pace(days, tuple(Stretch(*row) for row in cursor.fetchall()))
