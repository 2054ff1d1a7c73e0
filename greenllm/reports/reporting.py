"""One report of a study: everything that the page, the shared file, Markdown, CSV and JSON show."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.models import Study
from benchmarks.models.machine import DEFAULT_EXPECTED_LIFESPAN_S, DEFAULT_TOTAL_EMBODIED_EMISSIONS_GCO2E
from benchmarks.published_study import CARBON_INTENSITY_GCO2E_PER_KWH
from benchmarks.units import SECONDS_PER_YEAR
from greenllm.reports import charting, queries, tables, telling
from greenllm.reports.against_paper import AgainstPaper, against_paper, pairs_of
from greenllm.reports.cells import Basis
from greenllm.reports.charting import Drawn
from greenllm.reports.grids import Cell, Figure, Grid, Unit
from greenllm.reports.links import Links
from greenllm.reports.queries import MOST_PROMPTS
from greenllm.reports.tables import StudyCells
from greenllm.reports.telling import Lack
from greenllm.reports.what_if import Assumptions, Field, asked_for, what_if_grids
from router.evaluating import Comparison, NothingToCompare, stored_comparison

_UNDECIDED = "the router has not decided yet"


@dataclass(frozen=True)
class StudyReport:
    """A report: the paper's tables and figure from a study, what else they tell, and how they came about."""

    study: Study
    cells: StudyCells
    models: Grid
    validation: Grid | None
    validation_count: int  # prompts; the table may show fewer
    figure_2: Drawn | None
    approaches: Grid | None
    trade: Drawn | None
    bars: Drawn | None
    means: Grid
    accuracy: Grid
    sums: Grid
    units: Grid
    bases: Grid
    paper: AgainstPaper
    assumed: Assumptions
    fields: tuple[Field, ...]
    what_if: tuple[Grid, Grid]
    what_if_charts: tuple[Drawn | None, Drawn | None]
    warnings: tuple[str, ...]
    lacks: tuple[Lack, ...]
    method: tuple[tuple[str, str], ...]
    citation: tuple[str, ...]

    @property
    def grids(self) -> list[Grid]:
        """Return every table in the order of the report, without empty ones."""
        found = [
            self.models, self.validation, self.means, self.accuracy, self.sums, self.approaches, self.units, self.bases,
            *self.what_if, self.paper.agreement, *self.paper.tables,
        ]  # fmt: skip
        return [grid for grid in found if grid is not None and grid.rows]

    @property
    def answer_count(self) -> int:
        """Return how many training answers are finished."""
        return self.cells.total.answer_count

    @property
    def errors(self) -> list[str]:
        """Return what is wrong with what the reader asked for."""
        return [field.error for field in self.fields if field.error]


def study_report(
    *,
    study: Study,
    links: Links,
    asked: Mapping[str, str] | None = None,
    paired: Mapping[str, str] | None = None,
    most_prompts: int | None = MOST_PROMPTS,
) -> StudyReport:
    """Return the report of a study as it is now; `asked` are what-if assumptions, `paired` our models by the paper's.

    The number of queries does not depend on the study, and none returns a row for each training answer. Table 2 has
    `most_prompts` rows; None: all.

    Raises:
        UnknownPair: a paired model is not there.
    """
    listed = queries.studied_models(study)
    found = queries.report_cells(study)
    names = dict.fromkeys([*(one.name for one in listed), *sorted({model for _, model in found})])
    cells = StudyCells(tuple(names), found)
    made_with = queries.bases(study)
    prompts = queries.validation_prompts(study, most=most_prompts)
    comparison = _comparison(study)
    assumed, fields = asked_for(asked or {}, _stored(study, made_with))
    supposed = what_if_grids(cells, assumed, links.to_answers)
    approach_url = _approach_urls(links, comparison)
    of_prompts = [model for model in cells.models if any(model in one.cells for one in prompts)]
    return StudyReport(
        study=study,
        cells=cells,
        models=tables.table_1(listed, cells),
        validation=tables.table_2(prompts, of_prompts, links.to_prompt) if prompts else None,
        validation_count=queries.validation_prompt_count(study) if prompts else 0,
        figure_2=charting.figure_2(comparison, cells.answered, approach_url) if comparison else None,
        approaches=_approaches(comparison, approach_url) if comparison else None,
        trade=charting.accuracy_against_sci(cells, links.to_answers),
        bars=charting.table_3_bars(cells, links.to_answers),
        means=tables.table_3(cells, links.to_answers),
        accuracy=tables.table_4(cells, links.to_answers),
        sums=tables.table_5(cells, links.to_answers),
        units=tables.by_functional_unit(cells, links.to_answers),
        bases=tables.by_basis(made_with),
        paper=against_paper(cells, pairs_of(cells.answered, paired or {})),
        assumed=assumed,
        fields=tuple(fields),
        what_if=supposed,
        what_if_charts=charting.what_if_charts(cells, supposed),
        warnings=tuple(telling.warnings(cells, made_with)),
        lacks=tuple(telling.lacks(study, cells, made_with, comparison)),
        method=tuple(telling.method(study, made_with)),
        citation=tuple(telling.citation(study, when=study.finished_at or study.started_at)),
    )


def _comparison(study: Study) -> Comparison | None:
    try:
        return stored_comparison(study=study)
    except NothingToCompare:
        return None


def _approach_urls(links: Links, comparison: Comparison | None) -> charting.LinkToApproach:
    measured = comparison.measured.study if comparison and comparison.measured else None
    return lambda row: links.to_approach(row, measured)


def _approaches(comparison: Comparison, link: charting.LinkToApproach) -> Grid:
    rows = []
    for row in comparison.rows:
        scored = 0 if row.sci_gco2e is None else row.sci_gco2e.n
        unjudged, unmeasured = (tables.NOT_JUDGED, tables.NO_ENERGY) if row.prompt_count else (_UNDECIDED, _UNDECIDED)
        figures = (
            Figure.of_interval(row.accuracy, Unit.SHARE, of=row.prompt_count, why=unjudged),
            Figure(row.sum_sci_gco2e, Unit.SCI, scored, row.prompt_count, qualities=row.qualities, why=unmeasured),
            Figure.of_interval(row.sci_gco2e, Unit.SCI, of=row.prompt_count, qualities=row.qualities, why=unmeasured),
        )
        rows.append((row.name, tuple(Cell(one, url=link(row)) for one in figures)))
    return Grid(
        "figure-2", "Figure 2: the router, each model and the oracle", "The numbers of Figure 2", "Approach",
        ("Accuracy", "Sum of SCI (mgCO2e)", "Mean SCI per prompt (mgCO2e)"), tuple(rows),
    )  # fmt: skip


def _stored(study: Study, made_with: list[Basis]) -> Assumptions:
    """Return what most of the study's SCI was made with; where nothing is told, the study's or the defaults."""
    basis = made_with[0] if made_with else None
    intensity = basis.carbon_intensity_gco2e_per_kwh if basis else None
    embodied = basis.total_embodied_emissions_gco2e if basis else None
    lifespan = basis.expected_lifespan_s if basis else None
    if intensity is None:
        intensity = study.carbon_intensity_gco2e_per_kwh
    return Assumptions(
        intensity=CARBON_INTENSITY_GCO2E_PER_KWH if intensity is None else intensity,
        lifespan=(lifespan or DEFAULT_EXPECTED_LIFESPAN_S) / SECONDS_PER_YEAR,
        embodied=(DEFAULT_TOTAL_EMBODIED_EMISSIONS_GCO2E if embodied is None else embodied) / 1000,
    )
