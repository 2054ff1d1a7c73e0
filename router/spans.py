"""A carbon budget for a day or a month: past its soft limit the cheapest plausible model answers, past its hard limit
nobody does until it opens again. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Span:
    """How a day or a month of a key stands, in UTC and in gCO2e; a limit that is None does not count."""

    name: str
    soft_gco2e: float | None
    hard_gco2e: float | None
    spent_gco2e: float
    opens_at: datetime

    @property
    def is_soft_passed(self) -> bool:
        """Tell whether the soft limit is spent."""
        return self.soft_gco2e is not None and self.spent_gco2e >= self.soft_gco2e

    @property
    def is_closed(self) -> bool:
        """Tell whether the hard limit is spent."""
        return self.hard_gco2e is not None and self.spent_gco2e >= self.hard_gco2e

    @property
    def header(self) -> str:
        """Return how it stands in a few words."""
        limit = self.soft_gco2e if self.hard_gco2e is None else self.hard_gco2e
        told = f"{self.spent_gco2e:.6g}/{limit:.6g} gCO2e"
        if self.is_closed:
            return f"{told}; closed until {_moment(self.opens_at)}"
        return f"{told}; soft limit of {self.soft_gco2e:.6g} passed" if self.is_soft_passed else told

    @property
    def words(self) -> str:
        """Return in one sentence what a passed limit means; nothing where none is passed."""
        if self.is_closed:
            return (
                f"The key's carbon budget of the {self.name} is spent: {self.spent_gco2e:.3g} of {self.hard_gco2e:.3g} "
                f"gCO2e. It opens again at {_moment(self.opens_at)}."
            )
        if self.is_soft_passed:
            return (
                f"The key's soft limit of the {self.name} is passed, so the cheapest plausible model answers: "
                f"{self.spent_gco2e:.3g} of {self.soft_gco2e:.3g} gCO2e."
            )
        return ""

    def as_json(self) -> dict[str, float | bool | str | None]:
        """Return it for the caller."""
        return {
            "soft_limit_gco2e": self.soft_gco2e,
            "hard_limit_gco2e": self.hard_gco2e,
            "spent_gco2e": self.spent_gco2e,
            "is_soft_limit_passed": self.is_soft_passed,
            "is_closed": self.is_closed,
            "opens_at": _moment(self.opens_at),
        }


class BudgetClosed(Exception):
    """A key has spent the hard limit of a budget; another try is worth nothing before `span.opens_at`."""

    is_retryable = False

    def __init__(self, span: Span, now: datetime) -> None:
        super().__init__(
            f"{span.words} Until then no request of this key is answered; an admin can raise the limit of the key."
        )
        self.span = span
        self.retry_after_s = max(1, math.ceil((span.opens_at - now).total_seconds()))


def require_open(spans: tuple[Span, ...], now: datetime) -> None:
    """Refuse a request where a hard limit is spent; the one that stays closed longest is told.

    Raises:
        BudgetClosed: it is.
    """
    closed = [span for span in spans if span.is_closed]
    if closed:
        raise BudgetClosed(max(closed, key=lambda span: span.opens_at), now)


def next_day(now: datetime) -> datetime:
    """Return the midnight that ends a day; `now` is in UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def next_month(now: datetime) -> datetime:
    """Return the midnight that ends a month; `now` is in UTC."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
