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
    from benchmarks.models import Measurement, Study
    from greenllm.studies.queries import ResponseRow

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
        (_row(study, row, is_outlier=row.response.pk in outlier_ids, has_sets=has_sets) for row in rows),
    )


def _row(study: "Study", row: "ResponseRow", *, is_outlier: bool, has_sets: bool) -> tuple[object, ...]:
    response, prompt = row.response, row.response.prompt
    address, number = reverse("studies:response", args=(response.pk,)), response.sequence or response.pk
    return (
        address, number, number,
        address, Truncator(prompt.item_text).chars(_SHOWN_CHARACTERS), prompt.category, prompt.external_id,
        ", validation" if prompt.role == "validation" else "",
        f", repeat {response.repeat}" if study.repeats > 1 else "",
        f", {response.parameter_set.name}" if has_sets and response.parameter_set else "",
        response.deployment.language_model,
        response.get_state_display(), _OUTLIER if is_outlier else "",
        verdict_badges(row.verdict),
        _measured(getattr(response, "measurement", None)),
    )  # fmt: skip


def _measured(measurement: "Measurement | None") -> SafeString:
    if measurement is None:
        return _NOT_MEASURED
    return format_html(
        '<td class="number">{}</td><td class="number">{}</td><td class="number">{}</td><td>{}</td>',
        milligrams(measurement.sci_gco2e), joules(measurement.energy_j), seconds(measurement.time_reserved_s),
        quality_badge(measurement.quality),
    )  # fmt: skip
