"""How moments and days are written on pages and in sentences: year first, so that they sort, and always in UTC."""

from datetime import UTC, date, datetime

_DAY, _MINUTE, _SECOND = "%Y-%m-%d", "%Y-%m-%d %H:%M\u00a0UTC", "%Y-%m-%d %H:%M:%S\u00a0UTC"


def written_day(at: date) -> str:
    """Return a day, or the day of a moment in UTC, such as 2026-01-02."""
    return (at.astimezone(UTC) if isinstance(at, datetime) else at).strftime(_DAY)


def written_moment(at: datetime, *, to_second: bool = False) -> str:
    """Return a moment with its time zone to the minute or second, such as 2026-01-02 03:04 UTC."""
    return at.astimezone(UTC).strftime(_SECOND if to_second else _MINUTE)
