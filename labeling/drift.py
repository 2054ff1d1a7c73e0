"""How people's labels change over time: by days, or by so many labels, of one person or of all.

Somebody who tires, or learns the guideline anew, says `correct` more or less often, strays from gold answers and from
their own earlier word. The answers come shuffled, so a change of the shares is the judge's and hardly the answers'.
Only current labels count; an adjudicator's are left out, because what is disputed is no fair draw.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import pairwise

import numpy as np

from benchmarks.intervals import Interval, share_interval
from labeling.label_columns import LabelColumns, label_columns
from labeling.packing import Whole
from labeling.renewing import Touched, renewed
from labeling.tallies import labelers_of
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
    """Return how the labels of one person, or of all, change, in at most `MOST_PERIODS` periods.

    What is worked out is kept until a label changes.
    """

    def make() -> Drift:
        labels = label_columns() if person_id is None else label_columns().of(person_id)
        length = period_length(per, labels)
        places = labels.days if per is Per.DAYS else np.arange(len(labels))
        return Drift(per, length, _periods(labels, places // length))

    return unchanged(("labeling.drift", per, person_id), make, studies=[JUDGED], kind=Drift)


def drift_of_each() -> dict[int | None, tuple[Period, ...]]:
    """Return the days of every person, and under None those of all together.

    After a change those of the people with a label of an answer that changed are worked out anew.
    """
    return renewed("labeling.drift_of_each", _drift_of_each, _renewed, studies=[JUDGED])


def _drift_of_each() -> dict[int | None, tuple[Period, ...]]:
    labels = label_columns()
    by_person = labels.at(np.argsort(labels.people, kind="stable"))
    return _of_all(labels) | {
        int(by_person.people[first]): _days(by_person.between(first, after))
        for first, after in stretches_of(by_person.people)
    }


def _renewed(before: dict[int | None, tuple[Period, ...]], touched: Touched) -> dict[int | None, tuple[Period, ...]]:
    labels, changed = label_columns(), labelers_of(touched.response_ids)
    fresh = {one: labels.of(one) for one in changed}
    of_each = {one: days for one, days in before.items() if one is not None and one not in changed}
    of_each |= {one: _days(its) for one, its in fresh.items() if len(its)}
    return _of_all(labels) | dict(sorted(of_each.items()))


def _of_all(labels: LabelColumns) -> dict[int | None, tuple[Period, ...]]:
    return {None: _days(labels)} if len(labels) else {}


def _days(labels: LabelColumns) -> tuple[Period, ...]:
    return _periods(labels, labels.days)


# of each share: which labels count in it, and which of them it is about
_SHARES = (
    ("is_judgement", "is_correct"), ("on_gold", "as_gold"), ("on_earlier", "as_earlier"), ("on_graded", "as_graded"),
)  # fmt: skip


def period_length(per: Per, labels: LabelColumns) -> int:
    """Return how long a period of labels is so that there are not too many: in days or in labels."""
    if per is Per.DAYS:
        day_count = int(labels.days[-1]) + 1 if len(labels) else 0
        return next((days for days in _DAYS if day_count <= days * MOST_PERIODS), _DAYS[-1])
    length = _LABELS
    while len(labels) > length * MOST_PERIODS:
        length *= 2
    return length


def stretches_of(places: Whole) -> list[tuple[int, int]]:
    """Return where each place begins and ends in a column of places in order, none of them negative."""
    begins = np.flatnonzero(np.diff(places, prepend=-1)).tolist()
    return list(pairwise([*begins, len(places)]))


def _periods(labels: LabelColumns, places: Whole) -> tuple[Period, ...]:
    """Return a period for each place of a column of places in order."""
    ends = stretches_of(places)
    shares = [
        [share_interval(hits, n) for n, hits in zip(*(labels.counts(fact, ends) for fact in pair), strict=True)]
        for pair in _SHARES
    ]
    return tuple(
        Period(labels.moment(first), labels.moment(after - 1), after - first, *found)
        for (first, after), *found in zip(ends, *shares, strict=True)
    )
