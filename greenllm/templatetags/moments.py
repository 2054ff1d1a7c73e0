"""How dates are written on pages: one form for all of them, which a machine can read, too."""

from datetime import date, datetime

from django import template
from django.utils.html import format_html

from benchmarks.moments import written_day, written_moment
from greenllm.templatetags.figures import NONE

register = template.Library()


@register.filter
def day(at: date | None) -> str:
    """Write a day, or the day of a moment in UTC."""
    return NONE if at is None else _timed(written_day(at), written_day(at))


@register.filter
def moment(at: datetime | None) -> str:
    """Write a moment to the minute, in UTC."""
    return NONE if at is None else _timed(at.isoformat(timespec="seconds"), written_moment(at))


@register.filter
def moment_to_second(at: datetime | None) -> str:
    """Write a moment to the second, in UTC, where the order of what happened counts."""
    return NONE if at is None else _timed(at.isoformat(timespec="seconds"), written_moment(at, to_second=True))


def _timed(read_by_machines: str, shown: str) -> str:
    return format_html('<time datetime="{}">{}</time>', read_by_machines, shown)
