"""How the cells of a report are written on its page."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from greenllm.reports.charting import Drawn
from greenllm.reports.grids import Figure
from greenllm.reports.wording import behind, count_of, interval_of, value_of

register = template.Library()
register.filter("figure_value", value_of)
register.filter("figure_interval", interval_of)
register.filter("figure_behind", behind)
register.filter("figure_count", count_of)


@register.filter
def picture(drawn: Drawn) -> SafeString:
    """Put a drawing into the page as it is: `greenllm.reports.svg` escapes every word in it."""
    return mark_safe(drawn.svg)  # noqa: S308


@register.filter
def figure_number(figure: Figure) -> str:
    """Write the stored number of a figure, by which a table sorts: empty where it is missing."""
    return "" if figure.value is None else f"{figure.value:.9g}"
