"""A model on its way into the federation: each step, what holds it up, and that it goes on where it stopped."""

from typing import Any

import pytest

from benchmarks.federating import Timeouts, activate, change_state, connect
from benchmarks.inference.base import ServerUnreachable
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment, ModelEvaluation, ParameterSet, Response, Study
from benchmarks.studying import cancel
from benchmarks.vetting import Unfit
from router.admitting import NotJudged, activate_judged, standing_of
from router.indexing import NoIndex
from router.joining import (
    CannotEvaluate,
    advance,
    begin,
    open_evaluation,
    request_evaluation,
    settle_measured,
    take_back,
)
from router.models import PromptIndex
from tests import factories as make
from tests.factories import NOW
from tests.router.joining_federation import Wide, answer_all, make_wide

pytestmark = pytest.mark.django_db

NEW = ScriptedModel("new")


def requested(wide: Wide) -> ModelEvaluation:
    return request_evaluation(deployment=wide.new, now=NOW)


def begun(
    wide: Wide, *, answers: dict[str, str] | None = None, models: tuple[ScriptedModel, ...] = (NEW,)
) -> Study | None:
    """Begin the evaluation against a server that has the model."""
    with ScriptedOllama(models, answers=answers or {}) as server:
        client = connect(server=make.make_server(base_url=server.base_url), timeouts=Timeouts(5, 5, 5))
        return begin(evaluation=requested(wide), client=client, now=NOW)


def finish(study: Study, *, failed_count: int = 0) -> None:
    """Let every response of a study have come about, the first ones by failing."""
    for number, response in enumerate(study.responses.in_order()):
        response.state, response.text, response.finished_at = Response.State.FINISHED, "An answer.", NOW
        if number < failed_count:
            response.state, response.error, response.finished_at = Response.State.FAILED, "It fell over.", None
        response.save()
    Study.objects.filter(pk=study.pk).update(state=Study.State.FINISHED, finished_at=NOW)


def advanced(wide: Wide, said: str = "2 answers graded.") -> ModelEvaluation:
    evaluation = open_evaluation(wide.new)
    assert evaluation is not None
    advance(evaluation=evaluation, grade=lambda _study_id: said, now=NOW)
    wide.new.refresh_from_db()
    return evaluation


class TestRequesting:
    @pytest.mark.slow
    def test_moves_a_candidate_on_and_asks_nobody(self) -> None:
        wide = make_wide()
        evaluation = requested(wide)
        assert (wide.new.state, evaluation.step) == ("evaluating", "requested")

    @pytest.mark.slow
    def test_twice_goes_on_and_forgets_what_was_wrong(self) -> None:
        wide = make_wide()
        first = requested(wide)
        ModelEvaluation.objects.update(problem="The server is away.")
        again = requested(wide)
        assert (again.pk, again.problem) == (first.pk, "")
        assert ModelEvaluation.objects.count() == 1

    def test_wants_known_prompts(self) -> None:
        with pytest.raises(NoIndex, match="build one with manage.py build_index"):
            request_evaluation(deployment=make.make_deployment("new", state="candidate"), now=NOW)

    @pytest.mark.slow
    def test_refuses_what_is_no_candidate(self) -> None:
        wide = make_wide()
        with pytest.raises(CannotEvaluate, match="active already. Measure it further with manage.py run_study"):
            request_evaluation(deployment=wide.federation.small, now=NOW)
        with pytest.raises(CannotEvaluate, match="is retired; add it again"):
            request_evaluation(deployment=make.make_deployment("old", state="retired"), now=NOW)
        with pytest.raises(CannotEvaluate, match="answers no prompts itself"):
            request_evaluation(deployment=make.make_deployment("e", purpose="embedding", state="candidate"), now=NOW)


class TestBeginning:
    @pytest.mark.slow
    def test_measures_the_known_prompts_as_the_reference_study_was(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        assert (study.state, study.machine) == ("running", wide.federation.server.machine)
        assert set(study.prompts.all()) == set(wide.prompts)
        assert [one.deployment for one in study.targets.all()] == [wide.new]
        parameters = study.parameter_sets.get()
        assert (parameters.seed, parameters.num_predict, parameters.num_ctx) == (7, 32, 2048)
        assert (study.sampling_period_ms, study.warm_up_count, study.cooldown_limit_c) == (20, 1, 0)
        assert study.carbon_intensity_gco2e_per_kwh == 385.0

    @pytest.mark.slow
    def test_keeps_what_was_found_out(self) -> None:
        wide = make_wide()
        begun(wide)
        evaluation = open_evaluation(wide.new)
        assert evaluation is not None
        assert evaluation.step == "measuring"
        assert evaluation.findings["context_length"] == 2048
        assert evaluation.findings["answer"] == "I do not know."

    @pytest.mark.slow
    def test_asks_nothing_again_that_was_answered_alike(self) -> None:
        wide = make_wide()
        earlier = make.make_study()
        ParameterSet.objects.filter(study=earlier).update(seed=7, num_predict=32)
        make.make_response(wide.federation.math, wide.new, study=earlier)
        make.make_response(wide.federation.code, wide.new)  # with other parameters
        study = begun(wide)
        assert study is not None
        assert set(study.prompts.all()) == set(wide.prompts) - {wide.federation.math}

    @pytest.mark.slow
    def test_goes_to_the_graders_where_nothing_is_left_to_ask(self) -> None:
        wide = make_wide()
        ParameterSet.objects.filter(study=wide.reference).update(seed=42, num_predict=256)
        answer_all(wide)
        assert begun(wide) is None
        assert advanced(wide).step == "labeling"
        assert wide.new.state == "labeling"

    @pytest.mark.slow
    def test_twice_makes_one_study_and_asks_failed_answers_again(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        finish(study, failed_count=3)
        Study.objects.update(state=Study.State.PAUSED)
        again = begun(wide)
        assert again == study
        study.refresh_from_db()
        assert study.state == "running"
        assert study.responses.unfinished().count() == 3

    @pytest.mark.slow
    def test_keeps_the_problem_of_a_server_that_is_away(self) -> None:
        wide = make_wide()
        evaluation = requested(wide)
        client = connect(server=wide.federation.server, timeouts=Timeouts(1, 1, 1))
        with pytest.raises(ServerUnreachable):
            begin(evaluation=evaluation, client=client, now=NOW)
        evaluation.refresh_from_db()
        assert (evaluation.step, wide.new.state) == ("requested", "evaluating")
        assert "Start it, or correct the base URL" in evaluation.problem

    @pytest.mark.slow
    def test_keeps_the_problem_of_a_model_that_is_gone(self) -> None:
        wide = make_wide()
        with pytest.raises(Unfit):
            begun(wide, models=(ScriptedModel("another"),))
        assert ModelEvaluation.objects.get().problem.startswith("The server answers but does not list 'new'")
        assert not Study.objects.filter(evaluation__isnull=False).exists()

    @pytest.mark.slow
    def test_leaves_the_context_to_a_server_that_takes_none(self) -> None:
        wide = make_wide()
        wide.federation.server.kind = "openai"
        wide.federation.server.save()
        from router.joining_study import parameters_like

        assert parameters_like(wide.reference, Deployment.objects.get(pk=wide.new.pk)).num_ctx is None
        assert parameters_like(None, Deployment.objects.get(pk=wide.new.pk)).num_ctx is None


@pytest.mark.slow
class TestAdvancing:
    def test_waits_while_the_study_runs(self) -> None:
        wide = make_wide()
        begun(wide)
        assert advanced(wide).step == "measuring"
        assert wide.new.state == "evaluating"

    def test_lets_the_graders_look_at_a_finished_study(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        finish(study)
        evaluation = advanced(wide, "42 answers graded.")
        assert (evaluation.step, evaluation.grading_note, wide.new.state) == (
            "labeling",
            "42 answers graded.",
            "labeling",
        )

    def test_goes_on_without_answers_that_failed_and_says_so(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        finish(study, failed_count=2)
        evaluation = advanced(wide)
        assert evaluation.step == "labeling"
        assert evaluation.problem.startswith(
            "2 of 42 answers failed, the first one because: It fell over. Start the study"
        )

    def test_stays_where_every_answer_failed(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        finish(study, failed_count=42)
        assert advanced(wide).step == "measuring"
        assert wide.new.state == "evaluating"

    def test_says_what_to_do_after_a_cancelled_study(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        cancel(study=study, now=NOW)
        assert "Take the model back to candidate" in advanced(wide).problem

    def test_grades_again_where_that_broke_off(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        finish(study)
        evaluation = open_evaluation(wide.new)
        assert evaluation is not None

        def broken(_study_id: int) -> str:
            raise RuntimeError("no sandbox")

        with pytest.raises(RuntimeError):
            advance(evaluation=evaluation, grade=broken, now=NOW)
        assert ModelEvaluation.objects.get().step == "grading"
        assert advanced(wide).step == "labeling"

    def test_leaves_a_state_that_an_admin_set_meanwhile(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        finish(study)
        change_state(deployment=wide.new, state=Deployment.State.ACTIVE, now=NOW)
        advanced(wide)
        assert wide.new.state == "active"

    def test_leaves_one_over_that_was_taken_back_while_graders_looked(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        finish(study)
        evaluation = open_evaluation(wide.new)
        assert evaluation is not None

        def take_back_meanwhile(_study_id: int) -> str:
            take_back(deployment=Deployment.objects.get(pk=wide.new.pk), now=NOW)
            return "graded"

        assert not advance(evaluation=evaluation, grade=take_back_meanwhile, now=NOW)
        assert ModelEvaluation.objects.get().step == "over"
        assert Deployment.objects.get(pk=wide.new.pk).state == "candidate"


class TestPlainStudies:
    def test_move_their_models_on_when_they_are_over(self) -> None:
        deployment = make.make_deployment("plain", state="evaluating")
        study = make.make_study()
        study.targets.create(deployment=deployment, position=1)
        make.make_response(make.make_prompt(), deployment, study=study)
        assert settle_measured(now=NOW) == 0
        Study.objects.update(state=Study.State.FINISHED)
        assert settle_measured(now=NOW) == 1
        deployment.refresh_from_db()
        assert deployment.state == "labeling"

    def test_leave_a_model_that_is_activated_while_they_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        deployment = make.make_deployment("plain", state="evaluating")
        study = make.make_study(state=Study.State.FINISHED)
        study.targets.create(deployment=deployment, position=1)
        make.make_response(make.make_prompt(), deployment, study=study)

        def late(**arguments: Any) -> bool:
            activate(deployment=Deployment.objects.get(pk=deployment.pk), now=NOW)
            return change_state(**arguments)

        monkeypatch.setattr("router.joining.change_state", late)
        assert settle_measured(now=NOW) == 0
        deployment.refresh_from_db()
        assert deployment.state == "active"

    @pytest.mark.slow
    def test_leave_models_that_are_evaluated(self) -> None:
        wide = make_wide()
        requested(wide)
        answer_all(wide)
        assert settle_measured(now=NOW) == 0


class TestTakingBack:
    @pytest.mark.slow
    def test_cancels_what_is_not_measured_and_keeps_the_rest(self) -> None:
        wide = make_wide()
        study = begun(wide)
        assert study is not None
        first = study.responses.in_order().first()
        assert first is not None
        Response.objects.filter(pk=first.pk).update(state="finished", finished_at=NOW)
        take_back(deployment=wide.new, now=NOW)
        wide.new.refresh_from_db()
        study.refresh_from_db()
        assert (wide.new.state, study.state, open_evaluation(wide.new)) == ("candidate", "cancelled", None)
        again = begun(wide)
        assert again is not None
        assert again != study
        assert again.prompts.count() == len(wide.prompts) - 1

    @pytest.mark.slow
    def test_is_nothing_for_an_active_model_or_a_candidate(self) -> None:
        wide = make_wide()
        with pytest.raises(CannotEvaluate, match="Retire it instead"):
            take_back(deployment=wide.federation.small, now=NOW)
        with pytest.raises(CannotEvaluate, match="nothing to take back"):
            take_back(deployment=wide.new, now=NOW)


class TestActivating:
    def test_wants_every_answer_judged(self) -> None:
        wide = make_wide()
        answer_all(wide, verdict="")
        with pytest.raises(NotJudged, match="42 answers of new on"):
            activate_judged(deployment=wide.new, accepted_count=41, now=NOW)
        activate_judged(deployment=wide.new, accepted_count=42, now=NOW)
        wide.new.refresh_from_db()
        assert wide.new.state == "active"

    @pytest.mark.slow
    def test_ends_the_evaluation(self) -> None:
        wide = make_wide()
        requested(wide)
        answer_all(wide)
        activate_judged(deployment=wide.new, accepted_count=0, now=NOW)
        assert open_evaluation(wide.new) is None

    def test_counts_only_answers_to_known_prompts(self) -> None:
        wide = make_wide()
        make.make_response(make.make_prompt(), wide.new)
        make.make_response(wide.federation.math, wide.new, verdict="incorrect")
        standing = standing_of(wide.new)
        assert (standing.known_count, standing.answered_count, standing.judged_count) == (42, 1, 1)

    def test_knows_nothing_without_an_index(self) -> None:
        wide = make_wide()
        PromptIndex.objects.update(state="replaced")
        assert standing_of(wide.new).known_count == 0
