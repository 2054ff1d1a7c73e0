"""The charts of a report: Figure 2, accuracy against carbon, and Table 3 as bars. Pure."""

from dataclasses import dataclass

from benchmarks.intervals import Interval
from benchmarks.units import grams_to_milligrams
from greenllm.reports.svg import Bar, Point, grouped_bars, scatter
from greenllm.reports.tables import StudyCells
from router.evaluating import Comparison

_ACCURACY = "Accuracy (%)"


@dataclass(frozen=True)
class Drawn:
    """One chart: its title and the picture."""

    title: str
    svg: str


def figure_2(comparison: Comparison, models: tuple[str, ...] = ()) -> Drawn | None:
    """Return the paper's Figure 2 over the validation prompts; None where nothing has a place on it.

    `models` is the order in which the other charts give colours.
    """
    points = [
        Point(row.name, row.kind, grams_to_milligrams(row.sum_sci_gco2e), *_share(row.accuracy))
        for row in comparison.rows
        if row.accuracy is not None and row.sum_sci_gco2e is not None
    ]
    if not points:
        return None
    title = "Sum of SCI against accuracy over the validation prompts, wrong answers included; up and left is better"
    svg = scatter(
        name="figure-2", description=f"{title}. {_told(points)}", points=points, x_title="Sum of SCI (mgCO2e)",
        y_title=_ACCURACY, order=models,
    )  # fmt: skip
    return Drawn(title, svg)


def accuracy_against_sci(cells: StudyCells) -> Drawn | None:
    """Return each model's accuracy against its mean SCI over the training prompts; None where no model has both."""
    points = []
    for model, cell in cells.totals.items():
        sci = cell.per_prompt("sci")
        if cell.accuracy is not None and sci is not None:
            x, x_ends = _mass(sci)
            y, _, y_ends = _share(cell.accuracy)
            points.append(Point(model, "model", x, y, x_ends, y_ends))
    if not points:
        return None
    title = "Accuracy against mean SCI per prompt over the training prompts, with 95 % intervals"
    svg = scatter(
        name="trade", description=f"{title}. {_told(points)}", points=points,
        x_title="Mean SCI per prompt (mgCO2e)", y_title=_ACCURACY,
    )  # fmt: skip
    return Drawn(title, svg)


def table_3_bars(cells: StudyCells) -> Drawn | None:
    """Return Table 3 as bars by category; None where no right answer has an SCI."""
    series = []
    for model in cells.answered:
        means = [_right(cells, category, model) for category in cells.categories]
        series.append((model, [Bar(None) if one is None else Bar(*_mass(one)) for one in means]))
    if not any(bar.value is not None for _, bars in series for bar in bars):
        return None
    title = "Mean SCI of the right answers by category, with 95 % intervals"
    description = (
        f"{title}. {len(series)} models in {len(cells.categories)} categories; the table beneath has the numbers."
    )
    svg = grouped_bars(
        name="table-3-bars",
        description=description,
        groups=cells.categories,
        series=series,
        y_title="Mean SCI (mgCO2e)",
    )
    return Drawn(title, svg)


def _right(cells: StudyCells, category: str, model: str) -> Interval | None:
    cell = cells.cells.get((category, model))
    return None if cell is None else cell.mean_sci_of_right


def _mass(interval: Interval) -> tuple[float, tuple[float, float] | None]:
    ends = (grams_to_milligrams(interval.low), grams_to_milligrams(interval.high)) if interval.n > 1 else None
    return grams_to_milligrams(interval.value), ends


def _share(interval: Interval) -> tuple[float, None, tuple[float, float]]:
    return 100 * interval.value, None, (100 * interval.low, 100 * interval.high)


def _told(points: list[Point]) -> str:
    return "; ".join(f"{point.name} {point.y:.0f} % at {point.x:.3g} mg" for point in points)
