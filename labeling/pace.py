"""How fast people judge: their labels by days, with the time that they took. Only current labels count."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from labeling.drift import Per, period_length, stretches_of
from labeling.label_columns import LabelColumns, label_columns
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


def pace() -> Pace:
    """Return how many labels people gave, in at most `labeling.drift.MOST_PERIODS` stretches.

    What is worked out is kept until a label changes.
    """
    return unchanged("labeling.pace", _pace, studies=[JUDGED], kind=Pace)


def _pace() -> Pace:
    labels = label_columns()
    days = period_length(Per.DAYS, labels)
    return Pace(days, tuple(_stretch(labels, *ends) for ends in stretches_of(labels.days // days)))


def _stretch(labels: LabelColumns, first: int, after: int) -> Stretch:
    seconds = labels.seconds[first:after]
    timed = seconds[~np.isnan(seconds)]
    people = len(np.unique(labels.people[first:after]))
    return Stretch(
        labels.moment(first), labels.moment(after - 1), after - first, people, len(timed), float(timed.sum())
    )
