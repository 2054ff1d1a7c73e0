"""Look-ups that templates of study pages need, and the rows of the list of a study's answers, written by code."""

from collections.abc import Collection, Iterable, Mapping, Sized
from typing import TYPE_CHECKING

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from greenllm.templatetags.amounts import joules
from greenllm.templatetags.badges import quality_badge, verdict_badges
from greenllm.templatetags.figures import NONE, milligrams, seconds

if TYPE_CHECKING:
    from benchmarks.models import Study
    from greenllm.studies.queries import Measured, ResponseRow

register = template.Library()

_SHOWN_CHARACTERS = 70  # of a prompt
_OUTLIER = mark_safe(' <span class="badge problem-badge">outlier</span>')
_NOT_MEASURED = mark_safe(f'<td class="number">{NONE}</td>' * 3 + f"<td>{NONE}</td>")  # noqa: S308  # dashes


@register.filter
def of(words: Mapping[str, str], name: object) -> str:
    """Return what a mapping holds for a name, nothing where it has none."""
    return words.get(str(name), "")


@register.simple_tag
def answer_rows(
    study: "Study", rows: Iterable["ResponseRow"], outlier_ids: Collection[int], parameter_sets: Sized
) -> SafeString:
    """Write a row for each answer; its parameter set only where a study has several, its repeat likewise."""
    has_sets = len(parameter_sets) > 1
    return format_html_join(
        "\n",
        '<tr><td class="number"><a href="{}" aria-label="Response {}">{}</a></td>'
        '<th scope="row" class="wide-cell"><a href="{}">{}</a><small class="under">{}, {}{}{}{}</small></th>'
        "<td>{}</td><td>{}{}</td><td>{}</td>{}</tr>",
        (_row(study, row, is_outlier=row.pk in outlier_ids, has_sets=has_sets) for row in rows),
    )


def _row(study: "Study", row: "ResponseRow", *, is_outlier: bool, has_sets: bool) -> tuple[object, ...]:
    address = reverse("studies:response", args=(row.pk,))
    return (
        address, row.number, row.number,
        address, Truncator(row.item_text).chars(_SHOWN_CHARACTERS), row.category, row.external_id,
        ", validation" if row.role == "validation" else "",
        f", repeat {row.repeat}" if study.repeats > 1 else "",
        f", {row.parameter_set}" if has_sets else "",
        row.model,
        row.state_title, _OUTLIER if is_outlier else "",
        verdict_badges(row.verdict),
        _measured(row.measured),
    )  # fmt: skip


def _measured(measured: "Measured | None") -> SafeString:
    if measured is None:
        return _NOT_MEASURED
    return format_html(
        '<td class="number">{}</td><td class="number">{}</td><td class="number">{}</td><td>{}</td>',
        milligrams(measured.sci_gco2e), joules(measured.energy_j), seconds(measured.time_reserved_s),
        quality_badge(measured.quality),
    )  # fmt: skip
