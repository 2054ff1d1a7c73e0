"""How figures are written on pages: three significant digits, a unit, and a dash where there is none."""

from collections.abc import Iterable, Sequence

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from benchmarks.inference.base import ModelDescription
from benchmarks.intervals import Interval
from benchmarks.models import LanguageModel
from benchmarks.units import grams_to_milligrams, size_in_words

register = template.Library()
register.filter(size_in_words)

NONE = "\u2013"
_MINUS = "\u2212"
_SOURCES = {"person": "people", "imported": "import", "grader": "graders"}
_MILLISECOND = 0.001
_ORDINARY_DIGITS = 7  # up to millions, down to millionths


def significant(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, without an exponent for ordinary sizes."""
    text = f"{value:.{digits}g}"
    exponent = _exponent(float(text))
    is_ordinary = -_ORDINARY_DIGITS < exponent < _ORDINARY_DIGITS
    return with_minus(f"{float(text):,.{max(0, digits - 1 - exponent)}f}" if is_ordinary else text)


def with_minus(number: str) -> str:
    """Return a number as people read it: with a minus sign where programs write a hyphen."""
    return number.replace("-", _MINUS)


def signed(value: float, digits: int) -> str:
    """Return a change with so many decimals and its sign; what rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else with_minus(text)


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2]) if value else 0


@register.filter
def subscripted(text: str) -> SafeString:
    """Write CO2e of files and commands as pages do, with a subscript that charts and attributes can hold, too."""
    return mark_safe(conditional_escape(text).replace("CO2e", "CO₂e"))  # noqa: S308  # escaped


@register.filter
def decimals(value: float | None, digits: int) -> str:
    """Write a number with so many decimals."""
    return NONE if value is None else with_minus(f"{value:.{digits}f}")


@register.filter
def nth(words: Sequence[str], place: int) -> str:
    """Return what stands at a place, counted from 0; nothing beyond the end."""
    return words[place] if place < len(words) else ""


@register.filter
def milligrams(mass_g: float | None) -> str:
    """Write a mass given in grams as a number of milligrams."""
    return NONE if mass_g is None else significant(grams_to_milligrams(mass_g))


@register.filter
def milligrams_value(mass_g: float | str | None) -> str:
    """Write a mass given in grams as milligrams for `data-value`, by which a table sorts: empty where it is missing."""
    return f"{grams_to_milligrams(mass_g):.6g}" if isinstance(mass_g, float) else ""


@register.filter
def percent_value(share: float | str | None) -> str:
    """Write a share in percent for `data-value`, by which a table sorts: empty where it is missing."""
    return f"{100 * share:.6g}" if isinstance(share, float) else ""


@register.filter
def joules_alone(energy_j: float | None) -> str:
    """Write an energy given in joules, or joules per token, as a number without its unit."""
    return NONE if energy_j is None else significant(energy_j)


@register.filter
def percent(share: float | None) -> str:
    """Write a share as a whole percentage."""
    return NONE if share is None else with_minus(f"{100 * share:.0f}\u00a0%")


@register.filter
def percent_interval(interval: Interval | None) -> str:
    """Write the 95 % interval of a share."""
    return "" if interval is None else f"{100 * interval.low:.0f}\u2013{100 * interval.high:.0f}\u00a0%"


@register.filter
def milligrams_interval(interval: Interval | None) -> str:
    """Write the 95 % interval of a mass given in grams, in milligrams."""
    if interval is None or interval.n < 2:
        return ""
    return f"{milligrams(interval.low)} to {milligrams(interval.high)}"


@register.filter
def seconds(duration_s: float | None) -> str:
    """Write a duration in seconds, in milliseconds where it is below one of them."""
    if duration_s is None:
        return NONE
    is_tiny = 0 < duration_s < _MILLISECOND
    return f"{significant(1000 * duration_s)}\u00a0ms" if is_tiny else f"{significant(duration_s)}\u00a0s"


@register.filter
def whose_word(sources: Iterable[str]) -> str:
    """Write whose word verdicts are."""
    return ", ".join(_SOURCES.get(source, source) for source in sources)


@register.filter
def weights(model: LanguageModel | ModelDescription) -> str:
    """Write what is known of a model's weights: parameters, quantisation, size, context and the digest's beginning."""
    facts = (
        model.parameter_size,
        model.quantization,
        "" if model.size_bytes is None else size_in_words(model.size_bytes),
        f"context {model.context_length}" if model.context_length else "",
        model.digest[:12],
    )
    return ", ".join(fact for fact in facts if fact) or "the server tells nothing more"
