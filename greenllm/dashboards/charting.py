"""What the dashboards show of a study: its charts, and the numbers behind each of them."""

from collections.abc import Callable

from greenllm.charts import Chart
from greenllm.dashboards import figures
from greenllm.dashboards.figures import Spot
from greenllm.dashboards.queries import Cell, StudyTables
from greenllm.dashboards.sheets import Sheet, Value, ends_of, joined
from router.evaluating import Comparison, ComparisonRow

ALL = "all"


def figure_2(comparison: Comparison, models: tuple[str, ...] = ()) -> Chart:
    """Return the paper's Figure 2: every model, the router and the oracle over the validation prompts."""
    spots = [spot for row in comparison.rows if (spot := _spot_of_row(row)) is not None]
    named = "; ".join(
        f"{spot.name} {spot.accuracy.value:.0%} at {1000 * spot.sci_gco2e:.3g} milligrams" for spot in spots
    )
    return Chart(
        "figure-2",
        "Sum of SCI against accuracy over the validation prompts, wrong answers included; up and left is better",
        f"Scatter of {len(spots)} approaches: {named or 'none yet'}.",
        figures.sum_against_accuracy(spots, models),
    )


def accuracy_against_sci(tables: StudyTables) -> Chart:
    """Return accuracy against mean SCI per prompt over all training prompts, a point per model."""
    spots = []
    for model in tables.models:
        total = tables.model_totals[model]
        if total.accuracy is not None and (sci := total.mean_sci) is not None:
            spots.append(Spot(model, "model", total.accuracy, sci.value, sci.low, sci.high))
    named = "; ".join(
        f"{spot.name} {spot.accuracy.value:.0%} at {1000 * spot.sci_gco2e:.3g} milligrams" for spot in spots
    )
    return Chart(
        "accuracy-against-sci",
        "Accuracy against mean SCI per prompt over the training prompts, with 95 % intervals",
        f"Scatter of {len(spots)} models: {named or 'none yet'}.",
        figures.mean_against_accuracy(spots),
    )


def sci_by_category(tables: StudyTables) -> Chart:
    """Return the mean SCI of correct answers as bars, grouped by category."""
    means = {key: cell.mean_sci_of_correct for key, cell in tables.cells.items()}
    return Chart(
        "sci-by-category",
        "Mean SCI of the correct answers by category, with 95 % intervals",
        f"Grouped bars of {len(tables.models)} models in {len(tables.categories)} categories; see the table.",
        figures.sci_by_category(tables.categories, tables.models, means),
    )


def _spot_of_row(row: ComparisonRow) -> Spot | None:
    if row.accuracy is None or row.sum_sci_gco2e is None:
        return None
    return Spot(row.name, row.kind, row.accuracy, row.sum_sci_gco2e)


def comparison_sheet(comparison: Comparison) -> Sheet:
    """Return the numbers of Figure 2."""
    header = (
        "approach", "kind", "answers", "accuracy", "accuracy_low", "accuracy_high", "judged", "sum_sci_gco2e",
        "mean_sci_gco2e", "mean_sci_low_gco2e", "mean_sci_high_gco2e", "scored", "quality",
    )  # fmt: skip
    rows = tuple(
        (
            row.name, row.kind, row.prompt_count, *ends_of(row.accuracy), row.sum_sci_gco2e,
            *ends_of(row.sci_gco2e), joined(row.qualities),
        )
        for row in comparison.rows
    )  # fmt: skip
    return Sheet(header, rows)


def totals_sheet(tables: StudyTables) -> Sheet:
    """Return the numbers of accuracy against mean SCI."""
    header = (
        "model", "answers", "accuracy", "accuracy_low", "accuracy_high", "judged",
        "mean_sci_gco2e", "mean_sci_low_gco2e", "mean_sci_high_gco2e", "scored", "quality", "verdicts_by",
    )  # fmt: skip
    rows = tuple(
        (
            cell.model, cell.response_count, *ends_of(cell.accuracy), *ends_of(cell.mean_sci),
            joined(cell.qualities), joined(cell.sources),
        )
        for cell in tables.total_row()
    )  # fmt: skip
    return Sheet(header, rows)


def table_3_sheet(tables: StudyTables) -> Sheet:
    """Return the mean SCI of the correct answers, category by model."""
    header = ("mean_sci_gco2e", "mean_sci_low_gco2e", "mean_sci_high_gco2e", "n", "quality")
    return _cells_sheet(tables, header, lambda cell: (*ends_of(cell.mean_sci_of_correct), joined(cell.qualities)))


def table_4_sheet(tables: StudyTables) -> Sheet:
    """Return the accuracy, category by model."""
    header = ("accuracy", "accuracy_low", "accuracy_high", "n", "verdicts_by")
    return _cells_sheet(tables, header, lambda cell: (*ends_of(cell.accuracy), joined(cell.sources)))


def table_5_sheet(tables: StudyTables) -> Sheet:
    """Return the sum of SCI over all answers, category by model."""
    header = ("sum_sci_gco2e", "n", "answers", "quality")
    return _cells_sheet(
        tables,
        header,
        lambda cell: (cell.sum_sci_gco2e, cell.scored_count, cell.response_count, joined(cell.qualities)),
    )


def _cells_sheet(tables: StudyTables, header: tuple[str, ...], values: Callable[[Cell], tuple[Value, ...]]) -> Sheet:
    cells = [cell for _, row in tables.rows() for cell in row if cell is not None]
    rows = [(cell.category, cell.model, *values(cell)) for cell in cells]
    rows += [(ALL, cell.model, *values(cell)) for cell in tables.total_row()]
    return Sheet(("category", "model", *header), tuple(rows))


TABLE_SHEETS: dict[str, Callable[[StudyTables], Sheet]] = {
    "mean-sci": table_3_sheet,
    "accuracy": table_4_sheet,
    "sum-sci": table_5_sheet,
    "accuracy-against-sci": totals_sheet,
}
