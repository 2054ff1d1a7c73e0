import random
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Deployment, Response, Study
from labeling.grading import GRADERS
from labeling.models import Grade, Label
from labeling.suggesting import Acceptable, Suggested, accept_suggestions, acceptable_in, suggest
from labeling.verdicts import Decision, verdicts_of
from tests.factories import NOW, make_deployment, make_label, make_prompt, make_response, make_study
from tests.labeling.queues import make_rule

pytestmark = pytest.mark.django_db

SEVEN = {"kind": "number", "value": "7"}


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def deployment(study: Study) -> Deployment:
    return make_deployment()


@pytest.fixture
def answer(study: Study, deployment: Deployment) -> Callable[..., Response]:
    """Make an answer of the study to a prompt with these checks."""

    def answering(text: str, checks: dict[str, Any] = SEVEN, **fields: Any) -> Response:
        return make_response(make_prompt(checks=checks), deployment, study=study, text=text, **fields)

    return answering


Answer = Callable[..., Response]


def judge_at_random(response: Response, chance: random.Random) -> None:
    """Give an answer a label that counts, is replaced or is voided, or none, and up to two grades."""
    state = chance.choice([None, None, {}, {"is_current": False}, {"voided_at": NOW, "void_reason": "test"}])
    if state is not None:
        make_label(response, **state)
    for version in range(1, chance.randint(1, 3)):
        verdict = chance.choice(["correct", "incorrect", "unsure"])
        Grade.objects.create(
            response=response, grader="number", grader_version=version, verdict=verdict, reason="test", duration_ms=1
        )


def would_be_labeled(response: Response) -> bool:
    """Tell whether no label of an answer counts and its latest grade says right or wrong."""
    latest = max(response.grades.all(), key=lambda grade: grade.grader_version, default=None)
    is_labeled = any(label.is_current and label.voided_at is None for label in response.labels.all())
    return not is_labeled and latest is not None and latest.verdict != "unsure"


class TestSuggest:
    def test_stores_what_a_grader_found(self, study: Study, answer: Answer) -> None:
        response = answer("3 + 4 = 7")
        seconds = count(10, 0.25)

        suggested = suggest(study=study, clock=lambda: next(seconds))

        grade = Grade.objects.get()
        assert suggested == Suggested(graded_count=1, ungradable_count=0)
        assert (grade.response, grade.grader, grade.grader_version) == (response, "number", 1)
        assert (grade.verdict, grade.score, grade.duration_ms) == ("correct", 1.0, 250)
        assert grade.extracted == {"number": "7", "how": "after the last ="}
        assert grade.reason == "It gives 7 (after the last =); the reference is 7."

    def test_says_nothing_about_verdicts(self, study: Study, answer: Answer) -> None:
        response = answer("7")

        suggest(study=study)

        assert verdicts_of([response.pk]) == {}

    def test_twice_grades_nothing_twice(self, study: Study, answer: Answer) -> None:
        answer("7")
        suggest(study=study)

        assert suggest(study=study) == Suggested(0, 0)
        assert Grade.objects.count() == 1

    def test_grades_anew_with_a_newer_grader(
        self, study: Study, answer: Answer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer("7")
        suggest(study=study)
        monkeypatch.setattr(GRADERS["number"], "version", 2)

        assert suggest(study=study).graded_count == 1
        assert list(Grade.objects.order_by("grader_version").values_list("grader_version", flat=True)) == [1, 2]

    @pytest.mark.parametrize(
        "checks", [{}, {"kind": "poetry"}, {"kind": "number"}, {"kind": "exact", "answers": []}, {"kind": None}]
    )
    def test_leaves_an_answer_without_a_usable_check_to_people(
        self, study: Study, answer: Answer, checks: dict[str, Any]
    ) -> None:
        answer("7", checks)
        answer("7")

        assert suggest(study=study) == Suggested(graded_count=1, ungradable_count=1)

    def test_waits_for_answers_that_are_still_to_come(self, study: Study, answer: Answer) -> None:
        response = answer("7")
        Response.objects.filter(pk=response.pk).update(state="pending")

        assert suggest(study=study) == Suggested(0, 0)

    def test_grades_an_empty_answer_as_incorrect(self, study: Study, answer: Answer) -> None:
        answer("")

        suggest(study=study)

        assert Grade.objects.get().verdict == "incorrect"


class TestAcceptSuggestions:
    @pytest.fixture(autouse=True)
    def _switched_on(self) -> None:
        make_rule("math", grades_count=True)

    def test_labels_only_where_graders_may(self, study: Study, deployment: Deployment, answer: Answer) -> None:
        answer("7")
        for name in ("sql", "sql", "code"):
            make_response(make_prompt(category=name, checks=SEVEN), deployment, study=study, text="7")
        make_rule("code", grades_count=True)
        make_rule("code")
        make_rule(grades_count=True)  # a rule for every category never lets graders label
        suggest(study=study)

        assert acceptable_in(study=study) == Acceptable(1, {"code": 1, "sql": 2})
        assert accept_suggestions(study=study) == 1
        assert Label.objects.get().response.prompt.category.name == "math"

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(3))
    def test_counts_as_a_look_at_each_answer_does(
        self, seed: int, study: Study, deployment: Deployment, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        chance = random.Random(seed)
        for number in range(40):
            asked = make_prompt(category=chance.choice(["math", "sql"]))
            judge_at_random(make_response(asked, deployment, study=study if number % 5 else make_study()), chance)
        wanted = Counter(one.prompt.category.name for one in study.responses.all() if would_be_labeled(one))

        with django_assert_num_queries(2):  # suggestions by category; the rules in force
            found = acceptable_in(study=study)

        assert {"math": found.count, **found.held_back} == wanted
        assert accept_suggestions(study=study) == wanted["math"] > 0

    def test_lets_graders_stand_in_for_people_and_says_so(self, study: Study, answer: Answer) -> None:
        right, wrong = answer("7"), answer("8")
        suggest(study=study)

        assert accept_suggestions(study=study) == 2

        assert verdicts_of([right.pk, wrong.pk]) == {
            right.pk: Decision(True, "grader", 1),
            wrong.pk: Decision(False, "grader", 1),
        }
        assert all(label.grade is not None for label in Label.objects.filter(source="grader"))

    def test_twice_labels_nothing_twice(self, study: Study, answer: Answer) -> None:
        answer("7")
        suggest(study=study)
        accept_suggestions(study=study)

        assert accept_suggestions(study=study) == 0
        assert Label.objects.count() == 1

    def test_leaves_what_a_person_has_labeled(self, study: Study, answer: Answer) -> None:
        response = answer("7")
        make_label(response, "incorrect")
        suggest(study=study)

        assert accept_suggestions(study=study) == 0
        assert verdicts_of([response.pk])[response.pk] == Decision(False, "person", 1)

    def test_labels_anew_what_only_a_voided_label_judged(self, study: Study, answer: Answer) -> None:
        response, both = answer("7"), answer("7")
        for one in (response, both):
            make_label(one, "incorrect", voided_at=NOW, void_reason="Did not read the guideline.")
        make_label(both, "incorrect")
        suggest(study=study)

        assert accept_suggestions(study=study) == 1
        assert verdicts_of([response.pk])[response.pk] == Decision(True, "grader", 1)

    def test_takes_the_word_of_the_newest_grader(
        self, study: Study, answer: Answer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        response = answer("7")
        suggest(study=study)
        Grade.objects.update(verdict="incorrect", score=0)
        monkeypatch.setattr(GRADERS["number"], "version", 2)
        suggest(study=study)

        assert accept_suggestions(study=study) == 1
        assert verdicts_of([response.pk])[response.pk].is_correct

    def test_does_not_take_unsure_for_an_answer(self, study: Study, answer: Answer) -> None:
        answer("7")
        suggest(study=study)
        Grade.objects.update(verdict="unsure")

        assert accept_suggestions(study=study) == 0

    def test_leaves_other_studies_alone(self, study: Study, answer: Answer, deployment: Deployment) -> None:
        other = make_response(make_prompt(checks=SEVEN), deployment, text="7").study
        suggest(study=other)

        assert accept_suggestions(study=study) == 0


class TestGradeCommand:
    def test_suggests_and_labels_only_where_asked_to(
        self, study: Study, answer: Answer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer("7")
        answer("a poem", {"kind": "poetry"})

        call_command("grade", study=study.name)
        assert capsys.readouterr().out == "1 answers graded, 1 left to people (no usable check).\n"
        assert not Label.objects.exists()

        make_rule("math", grades_count=True)
        call_command("grade", study=study.name, accept=True)
        assert capsys.readouterr().out.endswith("1 labels by graders (source=grader).\n")

    def test_names_the_category_that_is_switched_off_and_the_remedy(
        self, study: Study, answer: Answer, deployment: Deployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer("7")
        make_response(make_prompt(category="sql", checks=SEVEN), deployment, study=study, text="7")
        with pytest.raises(CommandError, match="No label was made: 1 suggestion in math, 1 suggestion in sql left"):
            call_command("grade", study=study.name, accept=True)
        assert not Label.objects.exists()

        make_rule("math", grades_count=True)
        call_command("grade", study=study.name, accept=True)
        said = capsys.readouterr()
        assert said.out.endswith("1 labels by graders (source=grader).\n")
        assert "1 suggestion in sql left to people, because graders may not label there." in said.err
        assert "on /label/rules/ and switch them on there, or with manage.py switch_graders on sql." in said.err

    def test_of_an_unknown_study_says_so(self) -> None:
        with pytest.raises(CommandError, match="There is no study 'absent'"):
            call_command("grade", study="absent")
