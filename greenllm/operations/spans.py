"""Which time the operations page looks at, and how what it asks for is read from the address. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

SPANS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"}
GROUPS = {"model": "Model", "category": "Category", "policy": "Policy", "reason": "Reason"}
STRONG, LARGEST = "strong", "largest"
_LENGTHS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
_LONGEST = timedelta(days=400)
_BY_HOUR = timedelta(hours=49)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_YEARS = range(1971, 9999)  # the time before, and the day after, are times too
_MOST_DIGITS = 18  # of the number of a model; Postgres knows none with more


class UnusableSpan(ValueError):
    """What was asked for is no time that can be shown; the message names the field and the remedy."""


@dataclass(frozen=True)
class Span:
    """A time from a full hour on, up to another (not included), in UTC."""

    begins_at: datetime
    ends_at: datetime

    @property
    def step(self) -> timedelta:
        """Return how long a point of its charts is."""
        return _HOUR if self.ends_at - self.begins_at <= _BY_HOUR else _DAY

    @property
    def origin(self) -> datetime:
        """Return where its points are counted from: days begin at midnight UTC, so the first may be cut."""
        return self.begins_at if self.step == _HOUR else self.begins_at.replace(hour=0)

    @property
    def before(self) -> "Span":
        """Return the time of the same length that ends as it begins."""
        return Span(self.begins_at - (self.ends_at - self.begins_at), self.begins_at)

    @property
    def whole_days(self) -> "Span | None":
        """Return the whole days (UTC) in it, from the first midnight to the last; None without any."""
        first = (self.begins_at + _DAY - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        last = self.ends_at.replace(hour=0, minute=0, second=0, microsecond=0)
        return Span(first, last) if first < last else None


@dataclass(frozen=True)
class Asked:
    """What is asked for: the time, by what to part it, what to save against, and the time before or not."""

    span: Span
    name: str = "7d"
    group: str = "model"
    baseline: str = STRONG
    is_compared: bool = False
    begins: str = ""
    ends: str = ""


def asked_in(query: Mapping[str, str], *, now: datetime) -> Asked:
    """Read an address; days are UTC, and the last one is included.

    Raises:
        UnusableSpan: it names a time that cannot be shown.
    """
    group, baseline = query.get("group", "model"), query.get("baseline", STRONG)
    if group not in GROUPS:
        raise UnusableSpan(f"Group by one of {', '.join(GROUPS)}.")
    if baseline not in {STRONG, LARGEST} and not (baseline.isdecimal() and len(baseline) <= _MOST_DIGITS):
        raise UnusableSpan("Choose a baseline from the list.")
    begins, ends = query.get("from", "").strip(), query.get("to", "").strip()
    usual = usual_span(query.get("span", "7d"), now=now)
    asked = Asked(usual, query.get("span", "7d"), group, baseline, query.get("compare") == "before", begins, ends)
    if not (begins or ends):
        return asked
    if not (begins and ends):
        raise UnusableSpan("Give both days, From and To, or neither.")
    span = Span(_day("From", begins), _day("To", ends) + _DAY)
    if not timedelta() < span.ends_at - span.begins_at <= _LONGEST:
        raise UnusableSpan("To must not be before From, and the two at most 400 days apart.")
    return replace(asked, span=span, name="")


def usual_span(name: str, *, now: datetime) -> Span:
    """Return the time up to the end of the present hour."""
    if name not in _LENGTHS:
        raise UnusableSpan(f"Choose a time: {', '.join(SPANS.values())}.")
    ends_at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR
    return Span(ends_at - _LENGTHS[name], ends_at)


def _day(field: str, text: str) -> datetime:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise UnusableSpan(f"{field}: write a day as year-month-day, such as 2026-01-31.") from error
    if day.year not in _YEARS:
        raise UnusableSpan(f"{field}: choose a year from {_YEARS[0]} to {_YEARS[-1]}.")
    return day
