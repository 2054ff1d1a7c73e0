"""Badges and the cells of figures, made here and not by templates: a page of answers shows hundreds of them."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from greenllm.templatetags.figures import (
    NONE,
    milligrams,
    milligrams_interval,
    milligrams_value,
    percent,
    percent_interval,
    percent_value,
)

if TYPE_CHECKING:
    from greenllm.dashboards.queries import Cell
    from labeling.verdicts import Decision

register = template.Library()

_NONE = mark_safe(NONE)  # noqa: S308  # a dash
_PROVISIONAL = mark_safe('<span class="badge">provisional</span>')


@register.filter
@lru_cache(64)
def quality_badge(quality: str) -> SafeString:
    """Write how an energy came about: measured, estimated, missing."""
    return format_html('<span class="badge {}">{}</span>', quality, quality)


@register.filter
def quality_badges(qualities: Iterable[str]) -> SafeString:
    """Write how energies came about, a badge for each quality."""
    return format_html_join(" ", "{}", ((quality_badge(one),) for one in qualities)) or _NONE


@register.filter
@lru_cache(256)
def verdict_badges(verdict: "Decision") -> SafeString:
    """Write a verdict, whether it is provisional, and whose word it is."""
    if verdict.is_correct is None:
        kind, word = (" problem-badge", "disputed") if verdict.is_disputed else ("", "open")
    else:
        kind, word = (" strong", "correct") if verdict.is_correct else (" problem-badge", "incorrect")
    shown = [format_html('<span class="badge{}">{}</span>', kind, word)]
    if verdict.is_correct is not None and verdict.is_provisional:
        shown.append(_PROVISIONAL)
    if verdict.source:
        shown.append(format_html('<small class="nowrap">by {}</small>', verdict.source))
    return format_html_join(" ", "{}", ((one,) for one in shown))


@register.simple_tag
def figure_cell(cell: "Cell | None", figure: str, name: str) -> SafeString:
    """Write the cell of a table of a study: `mean_sci`, `accuracy` or `sum_sci`; `data-value` is what it sorts by."""
    value, shown = ("", NONE) if cell is None else _FIGURES[figure](cell)
    return format_html('<td class="number" data-name="{}" data-value="{}">{}</td>', name, value, shown)


@register.filter
def accuracy(cell: "Cell") -> SafeString:
    """Write the share of right answers with its interval."""
    return _accuracy(cell)[1]


def _mean_sci(cell: "Cell") -> tuple[str, SafeString]:
    sci = cell.mean_sci_of_correct
    if sci is None:
        return "", format_html("{}<small>n = 0 right of {}</small>", NONE, cell.judged_count)
    return milligrams_value(sci.value), format_html(
        "<b>{}</b> <small>{}</small><small>n = {}</small><small>{}</small>",
        milligrams(sci.value), milligrams_interval(sci), sci.n, quality_badges(cell.qualities),
    )  # fmt: skip


def _accuracy(cell: "Cell") -> tuple[str, SafeString]:
    share = cell.accuracy
    if share is None:
        return "", format_html("{}<small>not judged yet</small>", NONE)
    return percent_value(share.value), format_html(
        "<b>{}</b> <small>{}</small><small>n = {}{}</small>",
        percent(share.value), percent_interval(share), share.n, ", by graders" if cell.is_judged_by_graders else "",
    )  # fmt: skip


def _sum_sci(cell: "Cell") -> tuple[str, SafeString]:
    return milligrams_value(cell.sum_sci_gco2e), format_html(
        "<b>{}</b><small>n = {} of {}</small><small>{}</small>",
        milligrams(cell.sum_sci_gco2e), cell.scored_count, cell.response_count, quality_badges(cell.qualities),
    )  # fmt: skip


_FIGURES = {"mean_sci": _mean_sci, "accuracy": _accuracy, "sum_sci": _sum_sci}
