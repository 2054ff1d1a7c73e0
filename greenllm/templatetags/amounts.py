"""How energies, powers and longer times are written on pages."""

from django import template

from benchmarks.units import SECONDS_PER_YEAR, milliwatts_to_watts, nanoseconds_to_seconds
from greenllm.templatetags.figures import NONE, seconds, signed, significant, with_minus

register = template.Library()

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@register.filter
def joules(energy_j: float | None) -> str:
    """Write an energy in joules."""
    return NONE if energy_j is None else f"{significant(energy_j)}\u00a0J"


@register.filter
def watts(power_mw: float | None) -> str:
    """Write a power that is given in milliwatts in watts."""
    return NONE if power_mw is None else f"{significant(milliwatts_to_watts(power_mw))}\u00a0W"


@register.filter
def precise_percent(share: float | None) -> str:
    """Write a share as a percentage with three significant digits."""
    return NONE if share is None else f"{significant(100 * share)}\u00a0%"


@register.filter
def signed_percent(share: float | None) -> str:
    """Write a change as a percentage with its sign and two decimals."""
    return NONE if share is None else f"{signed(100 * share, 2)}\u00a0%"


@register.filter
def plain(value: float | None) -> str:
    """Write a plain number with three significant digits, or as it is where it is a whole one."""
    if value is None:
        return NONE
    return with_minus(f"{value:,.0f}") if value == int(value) else significant(value)


@register.filter
def parameter(value: float) -> str:
    """Write the value of a parameter of generation as people type it: 0.8, 42."""
    return f"{value:.15g}"


@register.filter
def nanoseconds(duration_ns: int | None) -> str:
    """Write a duration that is given in nanoseconds in seconds."""
    return NONE if duration_ns is None else seconds(nanoseconds_to_seconds(duration_ns))


@register.filter
def years(duration_s: float | None) -> str:
    """Write how long a machine lasts in years of 365 days, which the SCI is reckoned with."""
    if duration_s is None:
        return NONE
    count = duration_s / SECONDS_PER_YEAR
    return f"{significant(count) if count % 1 else int(count)}\u00a0year{'' if count == 1 else 's'}"


@register.filter
def about(duration_s: float | None) -> str:
    """Write about how long something takes, in the two largest of days, hours, minutes and seconds."""
    if duration_s is None:
        return "unknown"
    if duration_s < 10:
        return seconds(duration_s)
    whole = round(duration_s)
    parts = (
        (whole // _DAY_S, "d"),
        (whole % _DAY_S // _HOUR_S, "h"),
        (whole % _HOUR_S // _MINUTE_S, "min"),
        (whole % _MINUTE_S, "s"),
    )
    first = next(position for position, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count}\u00a0{unit}" for count, unit in parts[first : first + 2] if count)
