from collections.abc import Callable
from html import escape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks.models import LanguageModel, Measurement, Study
from benchmarks.sci import SciInputs, score
from benchmarks.units import SECONDS_PER_YEAR
from greenllm import study_columns
from greenllm.reports import queries
from greenllm.reports.against_paper import UnknownPair
from greenllm.reports.grids import Figure, Grid
from greenllm.reports.links import Links
from greenllm.reports.reporting import StudyReport, study_report
from greenllm.roles import Role, grant_role
from labeling import renewing
from labeling.renewing import Renewals
from tests import factories as make
from tests.greenllm.reports.studies import make_known_study

pytestmark = pytest.mark.django_db


def report_of_known(**asked: str) -> StudyReport:
    study = make_known_study()
    return study_report(study=study, links=Links(study), asked=asked)


def figure(grid: Grid, row: str, column: str) -> Figure:
    cells = dict(grid.all_rows)[row]
    found = cells[grid.columns.index(column)].figure
    assert found is not None
    return found


def sci_of(energy_j: float, intensity: float = 385, years: float = 4, embodied: float = 574_100) -> float:
    return score(SciInputs(energy_j, 1.0, intensity, embodied, years * SECONDS_PER_YEAR)).sci_gco2e


class TestTables:
    def test_give_the_mean_sci_of_right_answers(self) -> None:
        found = figure(report_of_known().means, "math", "small")
        assert found.value == pytest.approx(sci_of(11))
        assert (found.n, found.of) == (2, 3)  # one right answer has no energy
        assert found.qualities == ("estimated", "missing")

    @pytest.mark.slow
    def test_never_count_a_missing_energy_as_zero(self) -> None:
        report = report_of_known()
        found = figure(report.sums, "math", "small")
        assert found.value == pytest.approx(sci_of(10) + sci_of(12) + sci_of(14))
        assert (found.n, found.of) == (3, 4)
        assert any("1 of 12 training answers have no SCI" in lack.what for lack in report.lacks)

    @pytest.mark.slow
    def test_have_nothing_where_no_answer_is_right(self) -> None:
        found = figure(report_of_known().means, "code", "small")
        assert (found.value, found.n, found.why) == (None, 0, "no right answer with an SCI")

    @pytest.mark.slow
    def test_give_the_accuracy_of_judged_answers(self) -> None:
        report = report_of_known()
        found = figure(report.accuracy, "math", "large")
        assert (found.value, found.n, found.of) == (1.0, 3, 4)
        assert figure(report.accuracy, "all", "small").value == pytest.approx(3 / 6)

    @pytest.mark.slow
    def test_give_other_functional_units(self) -> None:
        grid = report_of_known().units
        assert figure(grid, "large", "Energy, gross per prompt (J)").value == pytest.approx(840 / 6)
        assert figure(grid, "large", "Energy, gross per 1,000 tokens (J)").value == pytest.approx(840 / 300 * 1000)
        # the answer that nobody judged has no part in it
        assert figure(grid, "large", "Energy, gross per right answer (J)").value == pytest.approx(740 / 5)
        net = figure(grid, "large", "Energy, net of idle per prompt (J)")
        assert (net.value, net.why) == (None, "no idle power was measured")

    @pytest.mark.slow
    def test_show_validation_prompts_with_their_answers(self) -> None:
        report = report_of_known()
        assert report.validation is not None
        assert report.validation_count == 2
        texts = [[cell.text or cell.figure for cell in cells] for _, cells in report.validation.rows]
        assert texts[1][0] == "wrong"
        assert all(cell.url.startswith("/responses/") for _, cells in report.validation.rows for cell in cells)

    @pytest.mark.slow
    def test_of_repeats_lead_to_all_of_them_and_tell_their_qualities(self, client: Client) -> None:
        study = make_known_study()
        first = study.responses.filter(prompt__role="validation", deployment__language_model__name="large").earliest(
            "pk"
        )
        make.make_response(
            first.prompt, first.deployment, study=study, repeat=2, energy_j=50.0, quality="measured", verdict="correct"
        )
        cell = dict(study_report(study=study, links=Links(study)).validation.all_rows)[
            f"math, {first.prompt.external_id}"
        ][1]
        assert cell.figure is not None
        assert (cell.figure.n, cell.figure.qualities) == (2, ("estimated", "measured"))
        reader = make.make_user()
        grant_role(user=reader, role=Role.RESEARCHER)
        client.force_login(reader)
        page = client.get(cell.url)
        assert {row.prompt_id for row in page.context["rows"]} == {first.prompt_id}
        assert page.context["page"].count == 2

    @pytest.mark.slow
    def test_lead_to_the_answers_behind_them(self) -> None:
        cell = dict(report_of_known().means.rows)["math"][0]
        wanted = "/studies/known/?model=small&category=math&verdict=correct&prompts=training#responses-title"
        assert cell.url == wanted


class TestWhatIf:
    @pytest.mark.slow
    def test_leads_to_the_answers_behind_each_figure(self) -> None:
        report = report_of_known()
        stored = dict(report.means.rows)["math"]
        assert [cell.url for cell in dict(report.what_if[1].rows)["math"]] == [cell.url for cell in stored]
        assert {cell.url for cell in dict(report.what_if[0].rows)["large"]} == {dict(report.units.rows)["large"][0].url}

    @pytest.mark.slow
    def test_is_what_is_stored_as_long_as_nothing_is_asked(self) -> None:
        report = report_of_known()
        found = figure(report.what_if[0], "large", "Per prompt")
        stored = figure(report.units, "large", "SCI per prompt (mgCO2e)")
        assert (found.value, found.low, found.high) == pytest.approx((stored.value, stored.low, stored.high))

    @pytest.mark.slow
    def test_is_the_standards_formula_for_each_answer(self) -> None:
        report = report_of_known(intensity="40", lifespan="8", embodied="300")
        energies = [90, 110, 100, 100, 200, 240]
        wanted = [sci_of(one, 40, 8, 300_000) for one in energies]
        found = figure(report.what_if[0], "large", "Sum of all answers")
        assert found.value == pytest.approx(sum(wanted))
        share = figure(report.what_if[0], "large", "Of it embodied").value
        assert share == pytest.approx(6 * sci_of(0, 40, 8, 300_000) / sum(wanted))
        assert figure(report.what_if[1], "code", "large").value == pytest.approx(sum(wanted[4:]) / 2)

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "value"), [("intensity", "many"), ("lifespan", "0"), ("embodied", "-1")])
    def test_says_what_is_wrong_and_keeps_it(self, name: str, value: str) -> None:
        report = report_of_known(**{name: value})
        [error] = report.errors
        assert repr(value) in error
        assert value in [field.value for field in report.fields]
        assert report.assumed.intensity == 385


class TestPaper:
    @pytest.mark.slow
    def test_compares_categories_without_a_model_of_the_paper(self) -> None:
        report = report_of_known()
        assert not report.paper.pairs
        assert report.paper.tables == ()
        cells = figure(report.paper.agreement, "Table 4, accuracy", "Cells of paired models")
        assert (cells.value, cells.why) == (None, "no model is one of the paper's")
        categories = figure(
            report.paper.agreement, "Table 3, mean SCI of right answers", "Categories, by the mean over models"
        )
        assert (categories.value, categories.n) == (1.0, 2)  # code costs more than math, here and there

    @pytest.mark.slow
    def test_compares_models_that_a_reader_pairs(self) -> None:
        study = make_known_study()
        report = study_report(study=study, links=Links(study), paired={"small": "tinyllama", "large": "llama3"})
        grid = report.paper.tables[0]
        name = "math, large beside llama3"
        assert figure(grid, name, "The paper (mgCO2e)").value == 0.1491
        assert figure(grid, name, "Ratio").value == pytest.approx(sci_of(100) / 0.1491)
        assert figure(grid, name, "Rank here").value == figure(grid, name, "Rank in the paper").value == 2

    def test_refuses_a_model_that_is_not_there(self) -> None:
        study = make_known_study()
        with pytest.raises(UnknownPair, match="The paper has no model 'gpt'"):
            study_report(study=study, links=Links(study), paired={"small": "gpt"})
        with pytest.raises(UnknownPair, match="no answers of 'huge'; it has small, large"):
            study_report(study=study, links=Links(study), paired={"huge": "llama3"})


class TestQueries:
    @pytest.mark.slow
    def test_are_as_many_for_any_number_of_answers(self) -> None:
        counts = []
        for study in (make_known_study("one"), make_known_study("many", times=4)):
            with CaptureQueriesContext(connection) as asked:
                study_report(study=study, links=Links(study))
            counts.append(len(asked))
        # two of them look for the sums that the database keeps, and keep them; one sees which answers changed
        assert counts[0] == counts[1] <= 18


class TestLinks:
    def test_lead_from_every_mark_of_figure_2_and_its_table_to_the_answers(self) -> None:
        study = make_known_study()
        report = study_report(study=study, links=Links(study))
        assert report.figure_2 is not None
        assert report.approaches is not None
        of_model = "/studies/known/?model=small&prompts=validation#responses-title"
        assert f'href="{escape(of_model)}" aria-label="small: the answers"' in report.figure_2.svg
        assert 'href="#table-2-title" aria-label="oracle: the answers"' in report.figure_2.svg
        rows = dict(report.approaches.rows)
        assert {cell.url for cell in rows["small"]} == {of_model}
        assert 'role="group"' in report.figure_2.svg

    @pytest.mark.slow
    def test_lead_from_points_and_bars_of_training_answers(self) -> None:
        study = make_known_study()
        report = study_report(study=study, links=Links(study))
        assert report.trade is not None
        assert report.bars is not None
        of_model = escape("/studies/known/?model=large&prompts=training#responses-title")
        assert f'href="{of_model}"' in report.trade.svg
        assert "category=code&amp;verdict=correct" in report.bars.svg

    @pytest.mark.slow
    def test_are_none_in_a_file_without_a_site(self) -> None:
        study = make_known_study()
        report = study_report(study=study, links=Links(study, None))
        assert report.trade is not None
        assert "href" not in report.trade.svg
        assert 'role="img"' in report.trade.svg


class TestEmptyStudy:
    def test_of_imported_outcomes_never_says_to_measure_them(self) -> None:
        study = make.make_study("elsewhere", kind="imported", state="finished")
        report = study_report(study=study, links=Links(study))
        assert "import_outcomes DIR --name elsewhere" in report.lacks[0].remedy
        assert "evaluate_router --study elsewhere" in report.lacks[1].remedy
        make.make_response(make.make_prompt(), make.make_deployment(), study=study, energy_j=None)
        remedies = " ".join(lack.remedy for lack in study_report(study=study, links=Links(study)).lacks)
        assert "withdraw_outcomes elsewhere" in remedies
        for word in ("run_study", "calibrate", "grade --study"):
            assert word not in remedies

    def test_of_live_answers_says_how_they_come(self) -> None:
        study = make.make_study(kind="live")
        assert "come in by themselves" in study_report(study=study, links=Links(study)).lacks[0].remedy

    def test_says_what_it_lacks_and_what_to_do(self) -> None:
        study = make.make_study("empty")
        report = study_report(study=study, links=Links(study))
        assert next(lack.what for lack in report.lacks) == "No training answer is finished."
        assert "manage.py run_study" in report.lacks[0].remedy
        assert all(lack.remedy for lack in report.lacks)
        assert report.grids == [report.paper.agreement]


def anew(make_it: Callable[[Study], Any], study: Study, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return figures as a process makes them that has just begun and finds none kept."""
    with monkeypatch.context() as fresh, connection.cursor() as cursor:
        fresh.setattr(study_columns, "_LATEST", Renewals(most=1))
        fresh.setattr(renewing, "_renewals", Renewals(most=1))
        cursor.execute("DELETE FROM labeling_keptfigure")
        return make_it(study)


@pytest.mark.django_db
class TestReportCells:
    def test_are_those_of_now_after_a_change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        study = make.make_study()
        deployments = [make.make_deployment(name) for name in ("a", "b")]
        for category in ("math", "code"):
            for deployment in deployments:
                make.make_response(make.make_prompt(category=category), deployment, study=study, energy_j=1.0)
        first = queries.report_cells(study)
        answer = study.responses.select_related("prompt__category", "deployment__language_model").latest("pk")
        make.make_label(answer, "incorrect")
        second = queries.report_cells(study)
        changed = (answer.prompt.category.name, answer.deployment.language_model.name)
        assert [key for key in first if first[key] != second[key]] == [changed]
        assert second == anew(queries.report_cells, study, monkeypatch)
        new = make.make_response(make.make_prompt(category="law"), answer.deployment, study=study)
        assert ("law", changed[1]) in queries.report_cells(study)
        new.delete()
        now, whole = queries.report_cells(study), anew(queries.report_cells, study, monkeypatch)
        assert list(now.items()) == list(whole.items())

    def test_are_those_of_now_whatever_comes_and_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Cells, their order and bases are as a new process makes them, to the last digit."""
        study = make.make_study()
        deployments = [make.make_deployment(name) for name in ("a", "b", "c")]
        prompts = [make.make_prompt(category=category) for category in ("code", "math", "sql")]
        answers = [
            make.make_response(prompt, deployment, study=study, energy_j=0.1 + number + 10 * place)
            for place, prompt in enumerate(prompts)
            for number, deployment in enumerate(deployments[:2])
        ]

        def check() -> None:
            for made in (queries.report_cells, queries.bases):
                found: Any = made(study)
                whole = anew(made, study, monkeypatch)
                assert found == whole
                assert list(found) == list(whole)

        check()
        make.make_label(answers[0], "correct")
        check()
        Measurement.objects.filter(response=answers[1]).update(total_embodied_emissions_gco2e=3.0)
        check()
        make.make_response(make.make_prompt(category="code", role="validation"), deployments[0], study=study)
        check()
        make.make_response(make.make_prompt(category="art", role="validation"), deployments[2], study=study)
        check()
        of_code = make.make_response(make.make_prompt(category="code"), deployments[2], study=study)
        check()
        study.responses.filter(pk=answers[3].pk).update(deployment=deployments[2])
        check()
        of_code.delete()
        study.responses.filter(prompt=prompts[2]).delete()
        check()
        LanguageModel.objects.filter(name="b").update(name="a")
        make.make_label(answers[2], "incorrect")
        check()
        make.make_label(answers[1], "incorrect")
        check()
        study.responses.update(state="failed", error="Refused.")
        check()


@pytest.mark.django_db
class TestBases:
    def test_are_those_of_now_after_a_change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        study = make.make_study()
        deployments = [make.make_deployment(name) for name in ("a", "b")]
        for category in ("math", "code"):
            for number, deployment in enumerate(deployments):
                make.make_response(make.make_prompt(category=category), deployment, study=study, energy_j=2.0 + number)
        [basis] = queries.bases(study)
        assert (basis.answer_count, basis.energy.sums[0]) == (4, 10.0)
        answer = study.responses.latest("pk")
        Measurement.objects.filter(response=answer).update(carbon_intensity_gco2e_per_kwh=77.0, energy_j=5.0)
        first, second = queries.bases(study)
        assert (first.answer_count, first.energy.sums[0]) == (3, 7.0)
        assert (second.answer_count, second.energy.sums[0]) == (1, 5.0)
        assert second.carbon_intensity_gco2e_per_kwh == 77.0
        study.responses.filter(pk=answer.pk).update(state="failed", error="x")
        assert queries.bases(study) == [first] == anew(queries.bases, study, monkeypatch)
