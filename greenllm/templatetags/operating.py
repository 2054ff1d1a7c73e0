"""Rows of the tables of the operations page, made here and not by templates: a page shows hundreds of cells."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from django import template
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from greenllm.templatetags.badges import quality_badges

if TYPE_CHECKING:
    from greenllm.operations.panels import Panel, Shown

register = template.Library()


@register.filter
def table_rows(panel: "Panel") -> SafeString:
    """Write the rows of a panel; each cell has the head of its column beside it, for phones, and what it sorts by."""
    heads = [conditional_escape(name) for name in panel.header[1:]]
    return format_html_join("\n", "<tr>{}{}</tr>", ((_head(row[0]), _cells(heads, row)) for row in panel.rows))


def _head(cell: "Shown") -> SafeString:
    sorts_by = "" if cell.value is None else format_html(' data-value="{}"', f"{cell.value:.9g}")
    under = format_html(' <small class="hint nowrap">{}</small>', cell.under) if cell.under else ""
    return format_html('<th scope="row"{}><span class="nowrap">{}</span>{}</th>', sorts_by, cell.text, under)


def _cells(heads: Sequence[str], row: tuple["Shown", ...]) -> SafeString:
    return format_html_join(
        "",
        '<td class="number heat-{}" data-name="{}" data-value="{}"><b>{}</b>{}{}</td>',
        (
            (
                cell.heat,
                name,
                "" if cell.value is None else f"{cell.value:.9g}",
                cell.text,
                format_html("<small>{}</small>", cell.under) if cell.under else "",
                _qualities(cell.qualities),
            )
            for name, cell in zip(heads, row[1:], strict=True)
        ),
    )


@lru_cache(64)
def _qualities(names: tuple[str, ...]) -> SafeString:
    return format_html("<small>{}</small>", quality_badges(names)) if names else SafeString()
