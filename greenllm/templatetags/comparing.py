"""How the figures of a comparison are written on its page."""

from django import template

from benchmarks.intervals import Interval
from greenllm.templatetags.figures import NONE, signed, significant

register = template.Library()


@register.filter
def scaled(value: float | None, scale: float) -> str:
    """Write a figure in the unit that its measure is shown in."""
    return NONE if value is None else significant(value * scale)


@register.filter
def scaled_interval(interval: Interval | None, scale: float) -> str:
    """Write the 95 % interval of a figure in the unit that its measure is shown in."""
    if interval is None:
        return ""
    return f"{significant(interval.low * scale)} to {significant(interval.high * scale)}"


@register.filter
def change(ratio: Interval | None) -> str:
    """Write a ratio as a change in percent."""
    return NONE if ratio is None else f"{signed(100 * (ratio.value - 1), 1)} %"


@register.filter
def change_interval(ratio: Interval | None) -> str:
    """Write the 95 % interval of a ratio as changes in percent."""
    return "" if ratio is None else f"{signed(100 * (ratio.low - 1), 1)} to {signed(100 * (ratio.high - 1), 1)} %"


@register.filter
def p_value(p: float | None) -> str:
    """Write a p value; a dash where no test was made."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else significant(p, 2)
