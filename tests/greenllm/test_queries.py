from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Response, Study, StudyDeployment
from greenllm.dashboards.queries import Cell, StudyTables, latest_study, study_tables
from tests import factories as make

pytestmark = pytest.mark.django_db


def cell(tables: StudyTables, category: str = "math", model: str = "tiny") -> Cell:
    return tables.cells[category, model]


class TestStudyTables:
    def test_hold_the_papers_three_figures_as_made_by_hand(self) -> None:
        study, deployment = make.make_study(), make.make_deployment("tiny")
        made = [
            make.make_response(make.make_prompt(), deployment, study=study, energy_j=energy_j, verdict=verdict)
            for energy_j, verdict in ((10.0, "correct"), (30.0, "correct"), (50.0, "incorrect"))
        ]
        scores = [float(response.measurement.sci_gco2e or 0) for response in made if response.measurement]
        found = cell(study_tables(study))
        assert found.accuracy is not None
        assert found.mean_sci_of_correct is not None
        assert (found.response_count, found.judged_count, found.scored_count) == (3, 3, 3)
        assert (found.accuracy.value, found.accuracy.n) == (2 / 3, 3)
        assert found.mean_sci_of_correct.value == pytest.approx(sum(scores[:2]) / 2)
        assert found.mean_sci_of_correct.n == 2
        assert found.sum_sci_gco2e == pytest.approx(sum(scores))
        assert found.qualities == ("estimated",)
        assert found.is_judged_by_graders is True

    def test_have_a_score_that_the_formula_gives(self) -> None:
        study = make.make_study()
        make.make_response(make.make_prompt(), make.make_deployment("tiny"), study=study, energy_j=3600.0)
        operational, embodied = 0.001 * 385.0, 574_100.0 * 1.0 / 126_144_000  # 3.6 kJ are a thousandth of a kWh
        assert cell(study_tables(study)).sum_sci_gco2e == pytest.approx(operational + embodied)

    def test_have_gaps_where_nothing_was_judged_or_measured(self) -> None:
        study = make.make_study()
        make.make_response(make.make_prompt(), make.make_deployment("tiny"), study=study, energy_j=None)
        found = cell(study_tables(study))
        assert (found.accuracy, found.mean_sci_of_correct, found.sum_sci_gco2e) == (None, None, None)
        assert (found.response_count, found.judged_count, found.scored_count) == (1, 0, 0)
        assert found.qualities == ("missing",)

    def test_count_a_right_answer_without_a_score_in_the_accuracy_only(self) -> None:
        study, deployment = make.make_study(), make.make_deployment("tiny")
        make.make_response(make.make_prompt(), deployment, study=study, energy_j=None, verdict="correct")
        found = cell(study_tables(study))
        assert found.accuracy is not None
        assert (found.accuracy.value, found.mean_sci_of_correct) == (1.0, None)

    def test_leave_validation_prompts_and_other_studies_out(self) -> None:
        study, deployment = make.make_study(), make.make_deployment("tiny")
        make.make_response(make.make_prompt(), deployment, study=study)
        make.make_response(make.make_prompt(role="validation"), deployment, study=study)
        make.make_response(make.make_prompt(), deployment)
        assert cell(study_tables(study)).response_count == 1

    def test_leave_out_what_is_not_finished(self) -> None:
        study = make.make_study()
        response = make.make_response(make.make_prompt(), make.make_deployment("tiny"), study=study)
        Response.objects.filter(pk=response.pk).update(state=Response.State.RUNNING)
        assert study_tables(study).cells == {}

    def test_order_categories_by_name_and_models_as_the_study_has_them(self) -> None:
        study = make.make_study()
        deployments = [make.make_deployment(name) for name in ("zeta", "alpha")]
        for position, deployment in enumerate(deployments, start=1):
            StudyDeployment.objects.create(study=study, deployment=deployment, position=position)
            make.make_response(make.make_prompt(category="sql"), deployment, study=study)
        make.make_response(make.make_prompt(category="code"), deployments[0], study=study)
        tables = study_tables(study)
        assert (tables.categories, tables.models) == (("code", "sql"), ("zeta", "alpha"))
        assert [(category, [found is not None for found in row]) for category, row in tables.rows()] == [
            ("code", [True, False]),
            ("sql", [True, True]),
        ]

    @pytest.mark.parametrize(("quality", "is_estimated"), [("estimated", True), ("measured", False)])
    def test_tell_whether_anything_was_estimated(self, quality: str, is_estimated: bool) -> None:
        study = make.make_study()
        make.make_response(make.make_prompt(), make.make_deployment("tiny"), study=study, quality=quality)
        assert study_tables(study).is_estimated is is_estimated

    @pytest.mark.parametrize("count", [1, 8])
    def test_need_four_queries_however_much_there_is(
        self, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        study = make.make_study()
        for number in range(count):
            deployment = make.make_deployment(f"model-{number}")
            make.make_response(make.make_prompt(), deployment, study=study, verdict="correct")
        with django_assert_num_queries(4):  # count, answers, verdicts, models
            study_tables(study).rows()


class TestLatestStudy:
    def make(self, name: str, state: str, hours: int | None, **facts: str) -> Study:
        started_at = None if hours is None else make.NOW + timedelta(hours=hours)
        return make.make_study(name, state=state, started_at=started_at, **facts)

    def test_is_none_where_there_is_none(self) -> None:
        self.make("draft", "draft", None)
        assert latest_study() is None

    def test_is_the_running_one(self) -> None:
        running = self.make("running", "running", 1)
        self.make("finished", "finished", 2)
        assert latest_study() == running

    def test_is_the_one_that_started_last_where_none_runs(self) -> None:
        self.make("early", "finished", 1)
        late = self.make("late", "paused", 2)
        assert latest_study() == late

    def test_is_not_one_that_was_cancelled_before_it_began(self) -> None:
        self.make("never", "cancelled", None)
        finished = self.make("finished", "finished", 1)
        assert latest_study() == finished

    def test_is_none_of_another_kind(self) -> None:
        self.make("imported", "finished", 2, kind="imported")
        assert latest_study() is None
