"""Figures are kept as long as what they rest on stays as it is, and no longer."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Category, LanguageModel, Measurement, Prompt, Response
from labeling.models import Flag, GoldAnswer, Grade, JudgementRule, Label
from labeling.unchanged import JUDGED, Shelf, one_look, state_of, unchanged
from tests import factories as make


def _grade(response: Response) -> None:
    response.grades.create(grader="g", grader_version=1, verdict="correct", reason="x", duration_ms=1)


def _flag(response: Response) -> None:
    Flag.objects.create(response=response, person=make.make_user(), reason="odd", created_at=make.NOW)


CHANGES: dict[str, Callable[[Response], object]] = {
    "a label": make.make_label,
    "a label that is voided": lambda _: Label.objects.update(voided_at=make.NOW, void_reason="x"),
    "an answer": lambda response: make.make_response(response.prompt, make.make_deployment("b"), study=response.study),
    "an answer that is gone": lambda response: response.delete(),
    "energy": lambda response: Measurement.objects.update(energy_j=3.5),
    "what SCI was made with": lambda _: Measurement.objects.update(carbon_intensity_gco2e_per_kwh=1.5),
    "the place of a prompt": lambda _: Prompt.objects.update(position=77),
    "the number of a repeat": lambda _: Response.objects.update(repeat=3),
    "a grade": _grade,
    "a grade that is gone": lambda _: Grade.objects.all().delete(),
    "a gold answer": lambda response: GoldAnswer.objects.create(response=response, verdict="correct", reason="known"),
    "a flag": _flag,
    "a rule": lambda _: JudgementRule.objects.create(judgements=2),
    "the name of a category": lambda _: Category.objects.update(name="renamed"),
    "the family of a model": lambda _: LanguageModel.objects.update(family="renamed"),
}


@pytest.mark.django_db
class TestState:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_is_another_after(self, change: Callable[[Response], object]) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment(), energy_j=1.0)
        if change is CHANGES["a label that is voided"]:
            make.make_label(response)
        if change is CHANGES["a grade that is gone"]:
            _grade(response)
        studies = [response.study_id]
        before = state_of(), state_of(studies)
        change(response)
        assert state_of() != before[0]
        assert state_of(studies) != before[1]

    def test_of_judged_answers_stays_while_others_come(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        make.make_label(response)
        for is_folded in (False, True):
            with connection.cursor() as cursor:
                cursor.execute("SELECT labeling_fold_answers()")
            before = state_of([JUDGED])
            other = make.make_response(response.prompt, response.deployment)
            Response.objects.filter(pk=other.pk).update(output_token_count=5)
            if is_folded:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT labeling_fold_answers()")
            assert state_of([JUDGED]) == before

    @pytest.mark.parametrize(
        "change",
        [make.make_label, _grade, lambda _: Label.objects.update(verdict="incorrect"),
         lambda _: Label.objects.all().delete(), lambda response: response.grades.all().delete()],
        ids=["a label", "a grade", "another verdict", "labels that are gone", "grades that are gone"],
    )  # fmt: skip
    @pytest.mark.parametrize("is_folded", [False, True])
    def test_of_judged_answers_is_another_after(self, change: Callable[[Response], object], *, is_folded: bool) -> None:
        response, other = (make.make_response(make.make_prompt(), make.make_deployment(name)) for name in ("a", "b"))
        make.make_label(other, "unsure")
        other.grades.create(grader="g", grader_version=1, verdict="correct", reason="x", duration_ms=1)
        before = state_of([JUDGED])
        change(other if change not in (make.make_label, _grade) else response)
        with connection.cursor() as cursor:
            cursor.execute("SELECT labeling_fold_answers()" if is_folded else "SELECT 1")
        assert state_of([JUDGED]) != before

    def test_stays_while_nothing_changes(self) -> None:
        make.make_label(make.make_response(make.make_prompt(), make.make_deployment()))
        before = state_of()
        Response.objects.update(error="")
        Category.objects.update(title="Another title")
        assert state_of() == before

    def test_of_a_study_is_not_that_of_another(self) -> None:
        one, other = (
            make.make_response(make.make_prompt(), make.make_deployment(name), study=make.make_study())
            for name in ("a", "b")
        )
        before = state_of([one.study_id])
        make.make_label(other)
        assert state_of([one.study_id]) == before
        assert state_of([one.study_id, other.study_id]) != before

    def test_of_what_was_rolled_back_does_not_come_again(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        before, seen = state_of(), set()
        for _ in range(3):
            point = transaction.savepoint()
            make.make_label(response)
            seen.add(state_of())
            transaction.savepoint_rollback(point)
            assert state_of() == before
        assert len(seen) == 3

    def test_is_another_after_each_fold_of_changes(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        seen = set()
        for _ in range(3):
            make.make_label(response)
            with connection.cursor() as cursor:
                cursor.execute("SELECT labeling_fold_answers()")
            seen.add(state_of([response.study_id]))
        assert len(seen) == 3


@pytest.mark.django_db
class TestUnchanged:
    def test_works_out_a_figure_once_until_a_label_changes(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        make.make_label(response)
        made: list[int] = []

        def count() -> int:
            made.append(Label.objects.count())
            return made[-1]

        assert [unchanged("test.once", count) for _ in range(3)] == [1, 1, 1]
        make.make_label(response)
        assert [unchanged("test.once", count) for _ in range(3)] == [2, 2, 2]
        assert made == [1, 2]


@pytest.mark.django_db
class TestOneLook:
    def test_asks_once_for_the_same_studies(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        with django_assert_num_queries(2), one_look():
            assert state_of([1]) == state_of([1])
            assert state_of([1, 2]) == state_of([2, 1])

    def test_looks_no_more_until_it_is_over_and_sees_what_came_then(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        with one_look():
            before = state_of()
            make.make_label(response)
            assert state_of() == before
        assert state_of() != before

    def test_is_over_where_a_page_fails(self) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        seen = []

        @one_look()
        def fail() -> None:
            seen.append(state_of())
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            fail()
        make.make_label(response)
        assert state_of() != seen[0]


class TestShelf:
    def test_keeps_those_used_last(self) -> None:
        shelf, made = Shelf(most=2), []
        for key in ("a", "b", "a", "c", "a", "b"):
            shelf.get(key, (1,), lambda key=key: made.append(key))
        assert made == ["a", "b", "c", "b"]

    def test_keeps_nothing_of_what_failed(self) -> None:
        shelf = Shelf(most=2)

        def fail() -> int:
            raise ValueError("nothing came")

        with pytest.raises(ValueError, match="nothing came"):
            shelf.get("a", (1,), fail)
        assert shelf.get("a", (1,), lambda: 5) == 5

    def test_lets_others_wait_for_what_is_worked_out(self) -> None:
        shelf, made, begun, may_end = Shelf(most=2), [], threading.Event(), threading.Event()

        def make() -> int:
            begun.set()
            assert may_end.wait(30)
            made.append(1)
            return 7

        found: list[int] = []
        askers = [threading.Thread(target=lambda: found.append(shelf.get("a", (1,), make))) for _ in range(3)]
        for one in askers:
            one.start()
        assert begun.wait(30)
        may_end.set()
        for one in askers:
            one.join(30)
        assert (found, made) == ([7, 7, 7], [1])
