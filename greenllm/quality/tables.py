"""The figures of quality as tables of plain values, for CSV and JSON; what is missing comes with a reason."""

from collections.abc import Callable, Mapping

from benchmarks.intervals import Interval
from greenllm.dashboards.sheets import Sheet, Value, ends_of
from greenllm.quality.wording import NO_GOLD, NO_GRADE, NO_JUDGEMENT, NO_REPEAT, NOT_TIMED
from labeling.agreement import Agreement
from labeling.confusion import DECIDED, Concordance, disagreements
from labeling.drift import drift_of_each
from labeling.models import Verdict
from labeling.pace import pace
from labeling.reliability import ALL, Reliability

_FIGURES = ("raw", "ac1", "alpha")
_PARTS = ("", "_low", "_high", "_n", "_reason")
Names = Mapping[int, str]


class _LongSheet(Sheet):
    """A table of six columns and tens of thousands of rows, whose objects are made in two fifths of the time."""

    def objects(self) -> list[dict[str, Value]]:
        """Return each row with its columns' names."""
        a, b, c, d, e, f = self.header
        return [{a: one, b: two, c: three, d: four, e: five, f: six} for one, two, three, four, five, six in self.rows]


def agreement_sheet(found: Reliability, _: Names) -> Sheet:
    """Return the agreement of each category."""
    rows = tuple(
        (category, one.judgement_count, *_agreement_values(one)) for category, one in found.by_category.items()
    )
    return Sheet(("category", "judgements", *_columns(*_FIGURES)), rows)


def pairs_sheet(found: Reliability, names: Names) -> Sheet:
    """Return the agreement of each two people."""
    rows = tuple((names[a], names[b], *_agreement_values(one)) for (a, b), one in found.by_pair.items())
    return Sheet(("person", "other", *_columns(*_FIGURES)), rows)


def people_sheet(found: Reliability, names: Names) -> Sheet:
    """Return how each person judges."""
    header = (
        "person", "labels", *_columns("as_gold", "as_before"), "median_active_seconds", "labels_per_active_hour",
        "timed", "timed_reason",
    )  # fmt: skip
    rows = tuple(
        (
            names[one.person_id], one.label_count, *_values(one.as_gold, NO_GOLD), *_values(one.as_before, NO_REPEAT),
            one.seconds, one.labels_per_hour, one.timed_count, "" if one.timed_count else NOT_TIMED,
        )
        for one in found.people
    )  # fmt: skip
    return Sheet(header, rows)


def pace_sheet(_: Reliability, __: Names) -> Sheet:
    """Return how many labels came in each stretch of days, with the time that they took."""
    header = (
        "first_at", "latest_at", "labels", "people", "labels_per_active_hour", "active_seconds", "timed",
        "timed_reason",
    )  # fmt: skip
    rows = tuple(
        (
            one.first_at.isoformat(), one.latest_at.isoformat(), one.label_count, one.person_count, one.labels_per_hour,
            one.active_seconds if one.timed_count else None, one.timed_count, "" if one.timed_count else NOT_TIMED,
        )
        for one in pace().stretches
    )  # fmt: skip
    return Sheet(header, rows)


def graders_sheet(found: Reliability, _: Names) -> Sheet:
    """Return each grader against people, with the confusion counts (grader's verdict, then people's)."""
    shares = [f"{share}_{verdict}" for verdict in DECIDED for share in ("precision", "recall")]
    cells = [(grade, verdict) for grade in Verdict.values for verdict in DECIDED]
    header = ("grader", "category", "n", *_columns(*shares), *(f"{grade}_{verdict}" for grade, verdict in cells))
    rows = tuple(
        (one.grader, one.category, one.n, *_precision_and_recall(one), *(one.count(*cell) for cell in cells))
        for one in found.graders
    )
    return Sheet(header, rows)


def _precision_and_recall(one: Concordance) -> tuple[Value, ...]:
    return tuple(value for share, reason in one.shares for value in _values(share, reason))


def disagreements_sheet(_found: Reliability, _names: Names) -> Sheet:
    """Return every answer on which a grader was not of people's mind."""
    header = ("response", "category", "grader", "grader_verdict", "people_verdict", "grader_reason")
    return _LongSheet(header, disagreements())


def drift_sheet(_: Reliability, names: Names) -> Sheet:
    """Return the days of all people together and of each person."""
    header = ("person", "day_utc", "labels", *_columns("correct", "as_gold", "as_before", "as_grader"))
    rows = tuple(
        (
            ALL if person_id is None else names[person_id], one.first_at.date().isoformat(), one.label_count,
            *_values(one.correct, NO_JUDGEMENT), *_values(one.as_gold, NO_GOLD), *_values(one.as_before, NO_REPEAT),
            *_values(one.as_grader, NO_GRADE),
        )
        for person_id, periods in drift_of_each().items()
        for one in periods
    )  # fmt: skip
    return Sheet(header, rows)


SHEETS: dict[str, Callable[[Reliability, Names], Sheet]] = {
    "agreement": agreement_sheet,
    "pairs": pairs_sheet,
    "people": people_sheet,
    "pace": pace_sheet,
    "graders": graders_sheet,
    "disagreements": disagreements_sheet,
    "drift": drift_sheet,
}


def _columns(*figures: str) -> tuple[str, ...]:
    return tuple(f"{name}{part}" for name in figures for part in _PARTS)


def _agreement_values(one: Agreement) -> tuple[Value, ...]:
    return tuple(
        value
        for figure in (one.raw, one.ac1, one.alpha)
        for value in (figure.value, figure.low, figure.high, figure.n, figure.reason)
    )


def _values(share: Interval | None, reason: str) -> tuple[Value, ...]:
    return (*ends_of(share), "" if share is not None else reason)
