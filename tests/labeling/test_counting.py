"""Figures of labels equal those of a process that counts all of them anew, whatever changed before."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection

from benchmarks.models import Category, Prompt, Response
from greenllm.models import User
from labeling import confusion, counting, label_columns, renewing, tallies, unchanged
from labeling.confusion import compare_graders, disagreements
from labeling.counting import count_rows
from labeling.drift import Per, drift, drift_of_each
from labeling.models import Flag, GoldAnswer, Grade, Label
from labeling.pace import pace
from labeling.placing import judged_count
from labeling.tallies import judgements_by_category, judgements_by_pair, labels_by_person
from labeling.waiting import Mode, QueueFilter, count_in
from tests import factories as make
from tests.labeling.queues import make_rule

pytestmark = pytest.mark.django_db
_LABELS = "SELECT response_id, verdict FROM labeling_label WHERE source = 'person' AND voided_at IS NULL {only}"


def figures() -> tuple[object, ...]:
    of_math = QueueFilter(category=Category.objects.get(name="math"))
    filters = (QueueFilter(), of_math, QueueFilter(mode=Mode.DISPUTED), QueueFilter(mode=Mode.DIFFERING))
    waiting = [count_in(one) for one in filters], judged_count()
    by_time = pace(), drift(per=Per.LABELS), drift(per=Per.DAYS), drift_of_each()
    return (
        judgements_by_category(),
        judgements_by_pair(),
        labels_by_person(),
        compare_graders(),
        waiting,
        by_time,
        disagreements(),
    )


def anew(monkeypatch: pytest.MonkeyPatch, *, has_columns: bool = False) -> tuple[object, ...]:
    """Return the figures as a process makes them that has just begun; it finds columns kept, or nothing at all."""
    with monkeypatch.context() as fresh, connection.cursor() as cursor:
        for module in (counting, label_columns, tallies):
            packing = module.PACKING if has_columns else None
            fresh.setattr(module, "_LATEST", renewing.Renewals(most=9, packing=packing))
        fresh.setattr(confusion, "_LATEST", renewing.Renewals(most=9))
        fresh.setattr(unchanged, "_shelf", unchanged.Shelf(most=9))
        cursor.execute("DELETE FROM labeling_keptfigure")
        return figures()


def changes(dice: random.Random, people: list[User]) -> Iterator[Callable[[], object]]:
    """Yield changes of labels, grades and what they are of, without end."""

    def an_answer() -> Response:
        return dice.choice(list(Response.objects.order_by("pk")))

    def a_label() -> None:
        given, person = an_answer(), dice.choice(people)
        if not given.labels.filter(labeler=person).exists():
            verdict, seconds = dice.choice(("correct", "incorrect", "unsure")), dice.choice((None, 3.0, 0.1, 500.0))
            made = make.make_label(given, verdict, labeler=person, active_seconds=seconds)
            Label.objects.filter(pk=made.pk).update(created_at=make.NOW + timedelta(days=dice.randrange(9)))

    def a_grade() -> None:
        given = an_answer()
        version = given.grades.count() + 1
        Grade.objects.create(
            response=given, grader="g", grader_version=version, verdict="correct", reason="x", duration_ms=1
        )

    def move() -> None:
        category = dice.choice(list(Category.objects.order_by("pk")))
        Prompt.objects.filter(pk=an_answer().prompt_id).update(category=category)

    def hand_over() -> None:
        of_answer = an_answer().labels.all()
        if not of_answer.filter(labeler=people[-1]).exists():
            of_answer.filter(labeler=people[0]).update(labeler=people[-1])

    def adjudicate() -> None:
        given = an_answer()
        if not given.labels.filter(kind="adjudication").exists():
            make.make_label(given, "correct", kind="adjudication")

    def flag() -> None:
        open_flags = Flag.objects.filter(response=an_answer(), resolution="")
        open_flags.update(resolution="withdrawn", resolved_at=make.NOW, resolved_by=people[0])
        Flag.objects.create(response=an_answer(), person=make.make_user(), reason="x", created_at=make.NOW)

    def fold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT labeling_fold_answers()")

    def check_again() -> None:
        first = Label.objects.current().judgements().order_by("pk").first()
        if first is not None and not first.response.labels.filter(labeler=first.labeler, kind="self_check").exists():
            make.make_label(first.response, "correct", labeler=first.labeler, kind="self_check")

    def set_gold() -> None:
        given = an_answer()
        if not given.gold_answers.exists():
            GoldAnswer.objects.create(response=given, verdict="correct", reason="x")

    kinds: list[Callable[[], object]] = [
        check_again,
        set_gold,
        a_label,
        a_label,
        a_label,
        a_grade,
        lambda: Label.objects.filter(response=an_answer()).update(voided_at=make.NOW, void_reason="x"),
        lambda: Label.objects.filter(response=an_answer()).update(saw_evidence=True),
        hand_over,
        lambda: Label.objects.filter(response=an_answer(), verdict="unsure").delete(),
        lambda: Grade.objects.filter(response=an_answer()).update(verdict="incorrect"),
        lambda: Grade.objects.filter(response=an_answer(), grader_version=2).delete(),
        adjudicate,
        flag,
        lambda: make_rule(dice.choice(("", "math")), judgements=dice.randrange(1, 3)),
        lambda: Response.objects.filter(pk=an_answer().pk).update(state=dice.choice(("finished", "failed")), error="x"),
        move,
        fold,
    ]
    while True:
        yield dice.choice(kinds)


class TestCountRows:
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(2))
    def test_equals_counting_anew_after_random_changes(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        deployment = make.make_deployment()
        for category in ("math", "code", "law"):
            for _ in range(3):
                make.make_response(make.make_prompt(category=category), deployment)
        monkeypatch.setattr(renewing, "_LEAST_ROWS", 0)
        dice = random.Random(seed)
        made = changes(dice, [make.make_user() for _ in range(3)])
        for _ in range(40):
            for _ in range(dice.randrange(1, 4)):
                next(made)()
            assert figures() == anew(monkeypatch, has_columns=True) == anew(monkeypatch) == figures()

    def test_reads_the_labels_of_changed_answers_alone(self) -> None:
        deployment = make.make_deployment()
        first, second = (make.make_response(make.make_prompt(), deployment) for _ in range(2))
        make.make_label(first)
        assert count_rows(_LABELS, width=1) == [(("correct",), 1)]
        make.make_label(second, "incorrect")
        with connection.execute_wrapper(_only_some):
            assert count_rows(_LABELS, width=1) == [(("correct",), 1), (("incorrect",), 1)]


def _only_some(
    execute: Callable[..., object], sql: str, params: dict[str, object], many: bool, context: object
) -> object:
    """Refuse to read all labels."""
    assert "SELECT response_id, verdict" not in sql or "ids" in params
    return execute(sql, params, many, context)
