"""The charts of a report: Figure 2, accuracy against carbon, and Table 3 as bars. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.intervals import Interval
from benchmarks.units import grams_to_milligrams
from greenllm.charts import in_words
from greenllm.reports.cells import ReportCell
from greenllm.reports.grids import Figure, Grid
from greenllm.reports.svg import ROOMS, Bar, Point, grouped_bars, scatter
from greenllm.reports.tables import LinkTo, StudyCells
from router.evaluating import Comparison, ComparisonRow

_ACCURACY = "Accuracy (%)"
LinkToApproach = Callable[[ComparisonRow], str]


def _no_link(_: ComparisonRow) -> str:
    return ""


def _no_answers(_: ReportCell, __: str) -> str:
    return ""


@dataclass(frozen=True)
class Drawn:
    """One chart: its title and the picture, for a wide page and for a narrow one."""

    title: str
    svg: str


def figure_2(comparison: Comparison, models: tuple[str, ...] = (), link: LinkToApproach = _no_link) -> Drawn | None:
    """Return the paper's Figure 2 over the validation prompts; None where nothing has a place on it.

    `models` is the order in which the other charts give colours, `link` leads to the answers of an approach.
    """
    points = [
        Point(row.name, row.kind, grams_to_milligrams(row.sum_sci_gco2e), *_share(row.accuracy), url=link(row))
        for row in comparison.rows
        if row.accuracy is not None and row.sum_sci_gco2e is not None
    ]
    if not points:
        return None
    title = "Sum of SCI against accuracy over the validation prompts, wrong answers included; up and left is better"
    return _scattered("figure-2", title, points, "Sum of SCI (mgCO₂e)", models)


def accuracy_against_sci(cells: StudyCells, link: LinkTo = _no_answers) -> Drawn | None:
    """Return each model's accuracy against its mean SCI over the training prompts; None where no model has both."""
    title = "Accuracy against mean SCI per prompt over the training prompts, with 95 % intervals"
    found = {model: (cell.per_prompt("sci"), link(cell, ""), "") for model, cell in cells.totals.items()}
    return _trade("trade", title, cells, found)


def what_if_charts(cells: StudyCells, grids: tuple[Grid, Grid]) -> tuple[Drawn | None, Drawn | None]:
    """Return both charts of training answers under other assumptions; a script moves their marks by the figures' ids.

    `grids` are those of `greenllm.reports.what_if.what_if_grids`, whose cells the ids are of.
    """
    models, table_3 = grids
    found = {
        model: (_interval_of(cells_of_row[0].figure), "", f"{models.name}-{row}-0")
        for row, (model, cells_of_row) in enumerate(models.rows)
    }
    series = [
        (
            model,
            [
                _bar(_interval_of(row_cells[column].figure), figure=f"{table_3.name}-{row}-{column}")
                for row, (_, row_cells) in enumerate(table_3.rows)
            ],
        )
        for column, model in enumerate(cells.answered)
    ]
    return (
        _trade("what-if-trade", "Accuracy against mean SCI per prompt under these assumptions", cells, found),
        _bars("what-if-bars", "Mean SCI of the right answers by category under these assumptions", cells, series),
    )


def _trade(
    name: str, title: str, cells: StudyCells, found: Mapping[str, tuple[Interval | None, str, str]]
) -> Drawn | None:
    """Draw accuracy against SCI; `found` has for each model its SCI, where it leads, and the figure that it is."""
    points = []
    for model, (sci, url, figure) in found.items():
        accuracy = cells.totals[model].accuracy
        if accuracy is not None and sci is not None:
            x, x_ends = _mass(sci)
            y, _, y_ends = _share(accuracy)
            points.append(Point(model, "model", x, y, x_ends, y_ends, url, figure))
    if not points:
        return None
    return _scattered(name, title, points, "Mean SCI per prompt (mgCO₂e)")


def _scattered(name: str, title: str, points: list[Point], x_title: str, order: Sequence[str] = ()) -> Drawn:
    drawings = (
        scatter(
            name=name, description=f"{title}. {_told(points)}", points=points, x_title=x_title, y_title=_ACCURACY,
            order=order, room=room,
        )
        for room in ROOMS
    )  # fmt: skip
    return Drawn(title, "".join(drawings))


def table_3_bars(cells: StudyCells, link: LinkTo = _no_answers) -> Drawn | None:
    """Return Table 3 as bars by category; None where no right answer has an SCI."""
    series = [
        (model, [_right(cells.cells.get((category, model)), link) for category in cells.categories])
        for model in cells.answered
    ]
    return _bars("table-3-bars", "Mean SCI of the right answers by category, with 95 % intervals", cells, series)


def _bars(name: str, title: str, cells: StudyCells, series: Sequence[tuple[str, Sequence[Bar]]]) -> Drawn | None:
    if not any(bar.value is not None for _, bars in series for bar in bars):
        return None
    models, categories = in_words(len(series), "model"), in_words(len(cells.categories), "category", "categories")
    description = f"{title}. {models} in {categories}; the table beneath has the numbers."
    drawings = (
        grouped_bars(
            name=name, description=description, groups=cells.categories, series=series, y_title="Mean SCI (mgCO₂e)",
            room=room,
        )
        for room in ROOMS
    )  # fmt: skip
    return Drawn(title, "".join(drawings))


def _right(cell: ReportCell | None, link: LinkTo) -> Bar:
    return Bar(None) if cell is None else _bar(cell.mean_sci_of_right, url=link(cell, "correct"))


def _bar(mean: Interval | None, *, url: str = "", figure: str = "") -> Bar:
    return Bar(None) if mean is None else Bar(*_mass(mean), url, figure)


def _interval_of(figure: Figure | None) -> Interval | None:
    """Return the mean and the interval of a cell; of a single answer the interval is not known."""
    if figure is None or figure.value is None:
        return None
    low, high = figure.value if figure.low is None else figure.low, figure.value if figure.high is None else figure.high
    return Interval(figure.value, low, high, figure.n)


def _mass(interval: Interval) -> tuple[float, tuple[float, float] | None]:
    ends = (grams_to_milligrams(interval.low), grams_to_milligrams(interval.high)) if interval.n > 1 else None
    return grams_to_milligrams(interval.value), ends


def _share(interval: Interval) -> tuple[float, None, tuple[float, float]]:
    return 100 * interval.value, None, (100 * interval.low, 100 * interval.high)


def _told(points: list[Point]) -> str:
    return "; ".join(f"{point.name} {point.y:.0f} % at {point.x:.3g} mg" for point in points)
