"""How people's labels change over time: by days, or by so many labels, of one person or of all.

Somebody who tires, or learns the guideline anew, says `correct` more or less often, strays from gold answers and from
their own earlier word. The answers come shuffled, so a change of the shares is the judge's and hardly the answers'.
Only current labels count; an adjudicator's are left out, because what is disputed is no fair draw.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from django.db import connection

from benchmarks.intervals import Interval, share_interval
from labeling.tallies import CURRENT
from labeling.unchanged import JUDGED, unchanged

MOST_PERIODS = 60  # more would be no chart and no table that somebody reads; then each is longer
_DAYS = (1, 7, 28, 91, 364, 3640)
_LABELS = 50


class Per(Enum):
    """What a period is: so many days, or so many labels."""

    DAYS = "days"
    LABELS = "labels"


@dataclass(frozen=True)
class Period:
    """What was said in one stretch of time (UTC), from the first label to the latest of it.

    `correct`: the share of labels that say so. `as_gold`: of those on gold answers in use, how many are as known.
    `as_before`: of self-checks, how many are as the first time. `as_grader`: of blind labels on answers that a grader
    called right or wrong, how many say the same as its latest version.
    """

    first_at: datetime
    latest_at: datetime
    label_count: int
    correct: Interval | None
    as_gold: Interval | None
    as_before: Interval | None
    as_grader: Interval | None


@dataclass(frozen=True)
class Drift:
    """The periods of one person, or of all, in order, and how long each is: in days or in labels."""

    per: Per
    length: int
    periods: tuple[Period, ...]


def drift(*, per: Per, person_id: int | None = None) -> Drift:
    """Return how the labels of one person, or of all, change, in at most `MOST_PERIODS` periods; in two queries.

    What is worked out is kept until a label changes.
    """

    def make() -> Drift:
        length = period_length(per, person_id)
        return Drift(per, length, _periods(per, length, person_id=person_id).get(None, ()))

    return unchanged(("labeling.drift", per, person_id), make, studies=[JUDGED], kind=Drift)


def drift_of_each() -> dict[int | None, tuple[Period, ...]]:
    """Return the days of every person, and under None those of all together, in two queries; kept as `drift` is."""
    return unchanged(
        "labeling.drift_of_each",
        lambda: {**_periods(Per.DAYS, 1), **_periods(Per.DAYS, 1, is_by_person=True)},
        studies=[JUDGED],
        kind=dict[int | None, tuple[Period, ...]],
    )


_SPAN = f"""
SELECT count(*), max((created_at AT TIME ZONE 'UTC')::date) - min((created_at AT TIME ZONE 'UTC')::date) + 1
FROM labeling_label
WHERE {CURRENT} AND kind <> 'adjudication' AND (%(person)s::bigint IS NULL OR labeler_id = %(person)s)
"""  # noqa: S608 - put together of constants
# not as a window over all labels: those would be kept until the last is read
_FIRST_DAY = f"""
SELECT min((created_at AT TIME ZONE 'UTC')::date) FROM labeling_label
WHERE {CURRENT} AND kind <> 'adjudication' AND (%(person)s::bigint IS NULL OR labeler_id = %(person)s)
"""  # noqa: S608 - put together of constants
_PLACES = {
    Per.DAYS: f"(created_at AT TIME ZONE 'UTC')::date - ({_FIRST_DAY})",
    Per.LABELS: "row_number() OVER (ORDER BY created_at, id) - 1",
}
_PERIODS = """
SELECT {judge}, said.place / %(length)s, min(said.created_at), max(said.created_at), count(*),
       count(*) FILTER (WHERE said.kind = 'judgement' AND said.verdict = 'correct'),
       count(*) FILTER (WHERE said.kind = 'judgement'),
       count(*) FILTER (WHERE said.verdict = gold.verdict), count(gold.id),
       count(*) FILTER (WHERE said.verdict = said.earlier), count(said.earlier),
       count(*) FILTER (WHERE said.verdict = graded.verdict), count(graded.verdict)
FROM (
    SELECT response_id, labeler_id, kind, verdict, saw_evidence, created_at, {place} AS place,
           CASE WHEN kind = 'self_check' THEN (
               SELECT first.verdict FROM labeling_label AS first
               WHERE first.response_id = label.response_id AND first.labeler_id = label.labeler_id
               AND first.source = 'person' AND first.is_current AND first.voided_at IS NULL AND first.kind = 'judgement'
           ) END AS earlier
    FROM labeling_label AS label
    WHERE {current} AND kind <> 'adjudication' AND (%(person)s::bigint IS NULL OR labeler_id = %(person)s)
) AS said
LEFT JOIN labeling_goldanswer AS gold
    ON said.kind = 'judgement' AND gold.response_id = said.response_id AND gold.retired_at IS NULL
LEFT JOIN (
    SELECT DISTINCT ON (response_id) response_id, verdict FROM labeling_grade
    ORDER BY response_id, grader_version DESC, id DESC
) AS graded
    ON said.kind = 'judgement' AND NOT said.saw_evidence AND graded.response_id = said.response_id
    AND graded.verdict <> 'unsure'
GROUP BY 1, 2 ORDER BY 1, 2
"""


def period_length(per: Per, person_id: int | None = None) -> int:
    """Return how long a period is so that there are not too many."""
    with connection.cursor() as cursor:
        cursor.execute(_SPAN, {"person": person_id})
        label_count, day_count = cursor.fetchone()
    if per is Per.DAYS:
        return next((days for days in _DAYS if (day_count or 0) <= days * MOST_PERIODS), _DAYS[-1])
    length = _LABELS
    while label_count > length * MOST_PERIODS:
        length *= 2
    return length


def _periods(
    per: Per, length: int, *, person_id: int | None = None, is_by_person: bool = False
) -> dict[int | None, tuple[Period, ...]]:
    query = _PERIODS.format(
        place=_PLACES[per], current=CURRENT, judge="said.labeler_id" if is_by_person else "NULL::bigint"
    )
    found: dict[int | None, list[Period]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(query, {"person": person_id, "length": length})
        for judge_id, _, *row in cursor.fetchall():
            found[judge_id].append(_period(row))
    return {judge_id: tuple(periods) for judge_id, periods in found.items()}


def _period(row: Sequence[Any]) -> Period:  # two moments and counts
    first_at, latest_at, label_count, *counts = row
    shares = [share_interval(hits, n) for hits, n in zip(counts[::2], counts[1::2], strict=True)]
    return Period(first_at, latest_at, label_count, *shares)
