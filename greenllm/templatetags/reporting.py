"""How the tables of a report are written on its page: by code, since a report has hundreds of cells."""

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from greenllm.reports.charting import Drawn
from greenllm.reports.grids import Cell, Figure, Grid
from greenllm.reports.wording import behind, count_of, interval_of, value_of
from greenllm.templatetags.badges import quality_badge
from greenllm.templatetags.figures import NONE, subscripted

register = template.Library()


@register.filter
def picture(drawn: Drawn) -> SafeString:
    """Put a drawing into the page as it is: `greenllm.reports.svg` escapes every word in it."""
    return mark_safe(drawn.svg)  # noqa: S308


@register.filter
def grid_rows(grid: Grid) -> SafeString:
    """Write the rows of a table, and its total as its foot."""
    heads = [subscripted(column) for column in grid.columns]
    rows = ((_row(grid, heads, name, cells, place),) for place, (name, cells) in enumerate(grid.rows))
    body = format_html("<tbody>{}</tbody>", format_html_join("\n", "{}", rows))
    if grid.total is None:
        return body
    name, cells = grid.total
    return body + format_html("<tfoot>{}</tfoot>", _row(grid, heads, name, cells, len(grid.rows)))


def _row(grid: Grid, heads: Sequence[SafeString], name: str, cells: Sequence[Cell], place: int) -> SafeString:
    return format_html(
        '<tr><th scope="row">{}</th>{}</tr>',
        name,
        format_html_join(
            "",
            '<td class="number" data-name="{}" id="{}-{}-{}"{}>{}</td>',
            (
                (
                    heads[column] if column < len(heads) else "", grid.name, place, column,
                    _sorts_by(cell.figure), _words(cell) if cell.figure is None else _figure(cell.figure, cell.url),
                )
                for column, cell in enumerate(cells)
            ),
        ),
    )  # fmt: skip


def _sorts_by(figure: Figure | None) -> SafeString | str:
    """Write the stored number of a figure, by which a table sorts: empty where it is missing."""
    if figure is None:
        return ""
    return format_html(' data-value="{}"', "" if figure.value is None else f"{figure.value:.9g}")


def _words(cell: Cell) -> SafeString | str:
    if not cell.url:
        return cell.text or NONE
    return format_html('<a href="{}" aria-label="{}: the answer">{}</a>', cell.url, cell.text, cell.text)


def _figure(figure: Figure, url: str) -> SafeString:
    """Write a figure with its interval, how many answers it is made of, and how their energies came about."""
    is_missing, value = figure.value is None, value_of(figure)
    shown = format_html('<b class="none">{}</b>' if is_missing else "<b>{}</b>", value)
    if url:
        label = f"{value}, {behind(figure)}: the answers"
        shown = format_html('<a href="{}" aria-label="{}">{}</a>', url, label, shown)
    badges = format_html_join("", "{}", ((quality_badge(one),) for one in figure.qualities))
    return format_html(
        '{}<small class="interval">{}</small><small>{}</small>{}{}',
        shown,
        interval_of(figure),
        count_of(figure),
        format_html('<small class="qualities">{}</small>', badges) if badges else "",
        format_html('<small class="why">{}</small>', figure.why) if is_missing and figure.why else "",
    )
