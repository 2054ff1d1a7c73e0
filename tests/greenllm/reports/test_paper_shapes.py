"""The paper's Tables 3 to 5 made again, to the digit, by the report from imported outcomes with its printed numbers."""

import math
from pathlib import Path

import pytest
from django.core.management import call_command

from benchmarks.models import Study
from benchmarks.published_study import CATEGORIES, CELLS, MODELS, PROMPTS_PER_CELL
from greenllm.reports.grids import Grid
from greenllm.reports.links import Links
from greenllm.reports.reporting import StudyReport, study_report
from tests.benchmarks.outcome_files import write_outcomes
from tests.factories import make_intensity

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def cut(value: float | None) -> str:
    """Write a figure as the paper does: cut off after four digits."""
    assert value is not None
    return f"{math.floor(value * 10_000 + 1e-6) / 10_000:.4f}"


@pytest.fixture
def report(tmp_path: Path) -> StudyReport:
    """The paper's study: in each cell the printed mean for right answers, and for the wrong ones what is left."""
    make_intensity()
    prompts, outcomes = ["prompt_id,category,prompt"], ["prompt_id,model,score,sci_gco2e"]
    for category in CATEGORIES:
        for number in range(PROMPTS_PER_CELL):
            prompts.append(f"{category}-{number},{category},Prompt {number} of {category}?")
    for (category, model), cell in CELLS.items():
        right = round(cell.accuracy * PROMPTS_PER_CELL)
        wrong = PROMPTS_PER_CELL - right
        of_right = cell.mean_sci_of_right_gco2e if wrong else cell.sum_sci_gco2e / PROMPTS_PER_CELL
        of_wrong = (cell.sum_sci_gco2e - right * of_right) / wrong if wrong else 0.0
        for number in range(PROMPTS_PER_CELL):
            score, sci = (1, of_right) if number < right else (0, of_wrong)
            outcomes.append(f"{category}-{number},{model},{score},{sci!r}")
    call_command("import_outcomes", str(write_outcomes(tmp_path / "paper", prompts, outcomes)), verbosity=0)
    study = Study.objects.get(kind=Study.Kind.IMPORTED)
    return study_report(study=study, links=Links(study))


def printed_by(grid: Grid, digits: str) -> dict[tuple[str, str], str]:
    found = {}
    for category, cells in grid.rows:
        for model, cell in zip(grid.columns, cells, strict=True):
            assert cell.figure is not None
            assert (cell.figure.n, cell.figure.of) in {(50, 50), (round(50 * CELLS[category, model].accuracy),) * 2}
            found[category, model] = cut(cell.figure.value) if digits == "cut" else f"{cell.figure.value:.2f}"
    return found


class TestReport:
    def test_prints_the_papers_tables_to_the_digit(self, report: StudyReport) -> None:
        assert printed_by(report.means, "cut") == {
            key: f"{cell.mean_sci_of_right_gco2e:.4f}" for key, cell in CELLS.items()
        }
        assert printed_by(report.accuracy, "2") == {key: f"{cell.accuracy:.2f}" for key, cell in CELLS.items()}
        assert printed_by(report.sums, "cut") == {key: f"{cell.sum_sci_gco2e:.4f}" for key, cell in CELLS.items()}

    def test_agrees_with_the_paper_on_every_order(self, report: StudyReport) -> None:
        assert dict(report.paper.pairs) == {model: model for model in MODELS}
        for title, (of_cells, of_categories) in report.paper.agreement.rows:
            assert of_cells.figure is not None
            assert of_categories.figure is not None
            assert of_cells.figure.value == pytest.approx(1, abs=2e-3), title
            assert (of_cells.figure.n, of_categories.figure.value, of_categories.figure.n) == (40, 1, 5), title

    def test_says_that_sci_alone_bears_no_what_if(self, report: StudyReport) -> None:
        assert any("an SCI and no energy" in lack.what for lack in report.lacks)
        per_prompt = report.what_if[0].rows[0][1][0].figure
        assert per_prompt is not None
        assert (per_prompt.value, per_prompt.n, per_prompt.of) == (None, 0, 250)
