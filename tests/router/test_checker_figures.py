"""How far checkers can be trusted, measured on judged answers."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from pytest_django import DjangoAssertNumQueries

from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment, Study
from labeling.sandbox import choose_sandbox
from router.cascade import LEAST_ACCEPTED
from router.checker_figures import Judge, NothingToMeasureOn, checker_figures, measure_checkers
from router.checking import all_checkers
from router.checking.agreement import AgreementChecker
from router.checking.judge import JudgeChecker
from router.checking.log_margin import log_margin_checkers
from router.checking.number_format import NumberFormatChecker
from router.models import CheckerMeasurement
from tests import factories as make
from tests.router.judged import checked_study

pytestmark = pytest.mark.django_db


def measured(study: Study, *checkers: object, judge: Judge | None = None) -> list[CheckerMeasurement]:
    return measure_checkers(study=study, checkers=checkers or [NumberFormatChecker()], now=make.NOW, judge=judge)  # type: ignore[arg-type]


class TestMeasureCheckers:
    def test_counts_what_is_accepted_and_how_much_of_it_is_right(self) -> None:
        [row] = measured(checked_study(right=15, wrong=5, unreadable=4))
        assert (row.answer_count, row.accepted_count, row.unknown_count) == (24, 20, 0)
        assert (row.right_count, row.accepted_right_count) == (15, 15)
        [figure] = checker_figures()
        assert figure.precision is not None
        assert figure.recall is not None
        assert (figure.precision.value, figure.recall.value, figure.is_usable) == (0.75, 1.0, True)
        assert figure.precision.low == pytest.approx(0.5313, abs=1e-4)  # Wilson, 15 of 20
        assert figure.precision.high == pytest.approx(0.8881, abs=1e-4)

    def test_trusts_none_that_accepted_few(self) -> None:
        measured(checked_study(right=LEAST_ACCEPTED - 1, wrong=0))
        assert [one.is_usable for one in checker_figures()] == [False]

    def test_replaces_what_was_measured_before_and_sums_over_studies(self) -> None:
        first, second = checked_study(), checked_study()
        for study in (first, first, second):
            measured(study)
        assert CheckerMeasurement.objects.count() == 2
        assert [one.answer_count for one in checker_figures()] == [48]

    def test_forgets_figures_of_another_version_of_the_rule(self) -> None:
        measured(checked_study())
        CheckerMeasurement.objects.update(version=99)
        assert checker_figures() == []

    def test_leaves_answers_out_that_nobody_judged(self) -> None:
        study = checked_study(right=2, wrong=0, unreadable=0)
        small = Deployment.objects.get()
        make.make_response(make.make_prompt("How many?"), small, study=study, text="It is 7.")
        assert [row.answer_count for row in measured(study)] == [2]

    def test_compares_each_model_with_each_other(self) -> None:
        study, person = make.make_study(), make.make_user()
        models = [make.make_deployment(name) for name in ("one", "two")]
        for number in (7, 8):
            prompt = make.make_prompt("How many apples are there?")
            for model, said in zip(models, (7, number), strict=True):
                response = make.make_response(prompt, model, study=study, text=f"It is {said}.")
                make.make_label(response, "correct" if said == 7 else "incorrect", labeler=person)
        rows = {row.language_model.name: row for row in measured(study, AgreementChecker())}
        assert rows["one"].second_model is not None
        assert rows["one"].second_model.name == "two"
        assert [(row.accepted_count, row.accepted_right_count) for row in rows.values()] == [(1, 1), (1, 1)]
        assert [rows[name].right_count for name in ("one", "two")] == [2, 1]

    def test_keeps_nothing_of_checkers_that_can_say_nothing(self) -> None:
        study = make.make_study()
        response = make.make_response(make.make_prompt("Who wrote Faust?"), make.make_deployment("small"), study=study)
        make.make_label(response, "correct", labeler=make.make_user())
        assert measured(study) == []

    def test_refuses_a_study_without_verdicts_and_one_of_the_router(self) -> None:
        with pytest.raises(NothingToMeasureOn, match="No answer of empty is judged"):
            measured(make.make_study("empty"))
        with pytest.raises(NothingToMeasureOn, match="through the router"):
            measured(make.make_study("routed", kind=Study.Kind.ROUTER))

    def test_asks_the_database_as_often_for_many_answers(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        study = checked_study(right=40, wrong=40)
        with django_assert_num_queries(7):  # answers, verdicts, savepoint (2), lock, delete, insert
            measured(study)

    @pytest.mark.slow
    def test_runs_the_tests_of_prompts_in_the_sandbox(self) -> None:
        study, person, small = make.make_study(), make.make_user(), make.make_deployment("small")
        for body, verdict in (("x + x", "correct"), ("x", "incorrect")):
            prompt = make.make_prompt("Double it.\n\nassert double(2) == 4\n", category="code")
            text = f"```python\ndef double(x):\n    return {body}\n```"
            make.make_label(make.make_response(prompt, small, study=study, text=text), verdict, labeler=person)
        every = all_checkers(find_sandbox=lambda: choose_sandbox(allow_weak=False))
        rows = {row.checker: row for row in measured(study, *every.values())}
        assert set(rows) == {"unit_tests"}
        assert (rows["unit_tests"].accepted_count, rows["unit_tests"].accepted_right_count) == (1, 1)

    def test_reads_how_sure_the_models_were(self) -> None:
        study, person, small = make.make_study(), make.make_user(), make.make_deployment("small")
        for margin, verdict in ((6.5, "correct"), (4.5, "incorrect"), (2.5, "correct"), (None, "correct")):
            response = make.make_response(make.make_prompt(), small, study=study, mean_margin_nats=margin)
            make.make_label(response, verdict, labeler=person)
        rows = {row.checker: row for row in measured(study, *log_margin_checkers())}
        counts = {name: (row.accepted_count, row.accepted_right_count) for name, row in rows.items()}
        assert counts == {"log_margin_2": (3, 2), "log_margin_4": (2, 1), "log_margin_6": (1, 1)}
        assert {row.unknown_count for row in rows.values()} == {1}

    def test_tells_who_can_say_nothing_and_why(self) -> None:
        told = StringIO()
        study = checked_study()
        call_command("measure_checkers", study=study.name, checker=["log_margin_4", "number_format"], stdout=told)
        assert f"log_margin_4 can say nothing of the answers of {study.name}. Its server gave no log" in told.getvalue()
        assert "number_format can say nothing" not in told.getvalue()

    def test_the_database_refuses_counts_that_cannot_be(self) -> None:
        [row] = measured(checked_study())
        row.accepted_right_count = row.accepted_count + 1
        with pytest.raises(IntegrityError):
            row.save()


class TestJudge:
    def test_is_measured_on_the_answers_of_others(self) -> None:
        study = checked_study(right=3, wrong=2, unreadable=1)
        small, deployment = Deployment.objects.get(), make.make_deployment("judge")
        judge, own = (
            deployment.language_model,
            make.make_response(make.make_prompt("How many?"), deployment, study=study),
        )
        make.make_label(own, "correct", labeler=make.make_user())
        asked: list[str] = []

        def says_yes_to_numbers(question: str) -> str:
            asked.append(question)
            return "No." if "I do not know" in question else "Yes."

        [row] = measured(study, JudgeChecker(), judge=Judge(judge.pk, says_yes_to_numbers))
        assert (row.language_model, row.second_model, len(asked)) == (small.language_model, judge, 6)
        assert (row.answer_count, row.accepted_count, row.right_count, row.accepted_right_count) == (6, 5, 3, 3)
        assert checker_figures()[0].is_judged

    def test_keeps_the_figures_of_other_judges(self) -> None:
        study = checked_study(right=2)
        judges = [Judge(make.make_deployment(name).language_model_id, lambda _question: "yes") for name in ("a", "b")]
        for judge in (*judges, judges[0]):
            measured(study, JudgeChecker(), judge=judge)
        measured(study)
        found = CheckerMeasurement.objects.filter(checker="llm_judge").values_list("second_model", flat=True)
        assert sorted(found) == [one.language_model_id for one in judges]


class TestCommand:
    @pytest.mark.parametrize("options", [{"checker": ["llm_judge"]}, {"checker": ["agreement"], "judge": "small"}])
    def test_wants_a_judge_with_its_checker_and_only_then(self, options: dict[str, object]) -> None:
        study = checked_study(right=2)
        with pytest.raises(CommandError, match="--checker llm_judge and --judge MODEL go together"):
            call_command("measure_checkers", study=study.name, **options)

    @pytest.mark.slow
    def test_asks_the_judge(self) -> None:
        study, told = checked_study(right=3, wrong=2, unreadable=0), StringIO()
        with ScriptedOllama(
            (ScriptedModel("judge"),), answers=lambda _model, _prompt: ScriptedAnswer("Yes.")
        ) as server:
            make.make_deployment("judge", server=make.make_server(base_url=server.base_url))
            call_command("measure_checkers", study=study.name, checker=["llm_judge"], judge="judge", stdout=told)
        line = next(line for line in told.getvalue().splitlines() if line.startswith("llm_judge"))
        assert "small judged by judge" in line
        assert "60 [23, 88]" in line  # 3 of 5

    def test_shows_precision_and_recall(self) -> None:
        told = StringIO()
        call_command("measure_checkers", study=checked_study(name="apples").name, stdout=told)
        line = next(line for line in told.getvalue().splitlines() if line.startswith("number_format"))
        assert "75 [53, 89]" in line
        assert "100 [80, 100]" in line
        assert "not used" not in line

    def test_says_which_are_not_used(self) -> None:
        told = StringIO()
        call_command("measure_checkers", study=checked_study(right=3).name, checker=["number_format"], stdout=told)
        assert "not used: fewer than 20 accepted" in told.getvalue()

    def test_tells_what_is_wrong(self) -> None:
        make.make_study("empty")
        with pytest.raises(CommandError, match="No answer of empty is judged"):
            call_command("measure_checkers", study="empty")
        with pytest.raises(CommandError, match="There is no study 'other'"):
            call_command("measure_checkers", study="other")
