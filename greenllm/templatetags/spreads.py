"""Cells of the tables of a study's spread, made here and not by templates: a page shows hundreds of links."""

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from benchmarks.spread import CellSpread, Spread
from benchmarks.spreading import PromptSpread, Repeat
from greenllm.templatetags.amounts import joules, precise_percent
from greenllm.templatetags.figures import NONE, milligrams

register = template.Library()

_MOST_SHOWN = 20  # repeats of a prompt
_NO_INTERVAL = mark_safe("<small>no interval of one</small>")
_OUTLIER = mark_safe(' <span class="badge problem-badge">outlier</span>')
_BREAK = mark_safe("<br>")
_WRITTEN = {"energy": joules, "sci": milligrams}


@register.simple_tag
def spread_cell(figures: CellSpread | Spread | None, without: float | None, quantity: str) -> SafeString:
    """Write `energy` (J) or `sci` (gCO2e): of repeats, or of a cell between its prompts; `without` its outliers."""
    if not figures:
        return format_html('<td class="number">{} <small class="under">n = 0</small></td>', NONE)
    of_repeats = figures.variation_of_repeats if isinstance(figures, CellSpread) else None
    spread = figures.between_prompts if isinstance(figures, CellSpread) else figures
    written = _WRITTEN[quantity]
    notes = [f"median {written(spread.median)}, n = {spread.n}", _variation(spread, of_repeats)]
    return format_html(
        '<td class="number"><b>{}</b> {} {}{}</td>',
        written(spread.mean),
        _NO_INTERVAL
        if spread.low is None
        else format_html('<small class="nowrap">{} to {}</small>', written(spread.low), written(spread.high)),
        format_html_join(" ", '<small class="under nowrap">{}</small>', ((note,) for note in notes if note)),
        ""
        if without is None
        else format_html(' <small class="under nowrap failed">{} without outliers</small>', written(without)),
    )


def _variation(spread: Spread, of_repeats: float | None) -> str:
    known = (("varies by", spread.variation), ("repeats by", of_repeats))
    return ", ".join(f"{words} {precise_percent(share)}" for words, share in known if share is not None)


@register.simple_tag
def repeat_links(prompt: PromptSpread) -> SafeString:
    """Write the energy of each repeat of a prompt as a link to its response, the first of many."""
    links = format_html_join(_BREAK, "{}", ((_link(one, prompt),) for one in prompt.repeats[:_MOST_SHOWN]))
    left = len(prompt.repeats) - _MOST_SHOWN
    if left <= 0:
        return links
    outliers = len(prompt.outlier_ids)
    return links + format_html(
        '<small class="under">the first {} of {}, {} outlier{} among all</small>',
        _MOST_SHOWN, len(prompt.repeats), outliers, "" if outliers == 1 else "s",
    )  # fmt: skip


def _link(repeat: Repeat, prompt: PromptSpread) -> SafeString:
    link = format_html(
        '<a href="{}" aria-label="Response {}">{}</a>',
        reverse("studies:response", args=(repeat.response_id,)),
        repeat.response_id,
        "missing" if repeat.energy_j is None else joules(repeat.energy_j),
    )
    if repeat.response_id in prompt.outlier_ids:
        return link + _OUTLIER
    return link
