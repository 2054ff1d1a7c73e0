from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from benchmarks.models import Response
from labeling.models import GoldAnswer, Grade, Guideline, JudgementRule, Label, Lease
from tests.factories import (
    NOW,
    make_deployment,
    make_grader_label,
    make_label,
    make_prompt,
    make_response,
    make_user,
)

pytestmark = pytest.mark.django_db


def make_grade(response: Response, **facts: object) -> Grade:
    values = {"grader": "number", "grader_version": 1, "verdict": "correct", "reason": "test", "duration_ms": 1.0}
    return Grade.objects.create(response=response, **{**values, **facts})


def make_gold(response: Response, **facts: object) -> GoldAnswer:
    values = {"verdict": "correct", "reason": "It is what the reference says."}
    return GoldAnswer.objects.create(response=response, **{**values, **facts})


def hold(response: Response, **facts: object) -> Lease:
    values = {"annotator": make_user(), "claimed_at": NOW, "expires_at": NOW + timedelta(minutes=1)}
    return Lease.objects.create(response=response, **{**values, **facts})


def label_twice(response: Response) -> None:
    person = make_user()
    make_label(response, labeler=person)
    make_label(response, "incorrect", labeler=person)


# Each does something to an answer that the constraint named before the colon must refuse.
REFUSED: dict[str, Callable[[Response], object]] = {
    "label_one_current_per_judge: two of one person": label_twice,
    "label_one_current_per_judge: two of the grader": lambda response: [
        Label.objects.create(response=response, verdict="correct", source="grader", grade=grade)
        for grade in (make_grade(response), make_grade(response, grader_version=2))
    ],
    "label_of_a_person_names_them": lambda response: make_label(response, labeler=None),
    "label_of_a_grader_names_its_grade": lambda response: Label.objects.create(
        response=response, verdict="correct", source="grader"
    ),
    "label_score_0_to_1": lambda response: make_label(response, score=1.1),
    "label_voided_has_a_reason": lambda response: make_label(response, voided_at=NOW),
    "grade_once": lambda response: [make_grade(response), make_grade(response)],
    "grade_score_0_to_1": lambda response: make_grade(response, score=-0.1),
    "label_of_a_grader_is_a_judgement": lambda response: Label.objects.create(
        response=response, verdict="correct", source="grader", grade=make_grade(response), kind="adjudication"
    ),
    "lease_slot_once": lambda response: [hold(response) for _ in range(2)],
    "judgement_rule_at_least_one": lambda _: JudgementRule.objects.create(judgements=0),
    "judgement_rule_share_0_to_1": lambda _: JudgementRule.objects.create(share=0),
    "judgement_rule_readers_cover_judgements": lambda _: JudgementRule.objects.create(judgements=3, max_readers=2),
    "gold_answer_one_in_use": lambda response: [make_gold(response) for _ in range(2)],
    "gold_answer_is_decided": lambda response: make_gold(response, verdict="unsure"),
    "gold_answer_has_a_reason": lambda response: make_gold(response, reason=""),
    "guideline_version_once": lambda _: [Guideline.objects.create(version=1, text="Read.") for _ in range(2)],
}


class TestConstraints:
    @pytest.fixture
    def response(self) -> Response:
        return make_response(make_prompt(), make_deployment())

    @pytest.mark.parametrize("name", REFUSED)
    def test_refuse_what_must_not_be(self, response: Response, name: str) -> None:
        with pytest.raises(IntegrityError, match=name.partition(":")[0]), transaction.atomic():
            REFUSED[name](response)

    def test_let_several_people_judge_one_answer(self, response: Response) -> None:
        make_label(response, "correct")
        make_label(response, "incorrect")
        make_grader_label(response, "correct")

        assert response.labels.count() == 3

    def test_let_one_person_judge_check_and_settle(self, response: Response) -> None:
        person = make_user()
        for kind in Label.Kind.values:
            make_label(response, labeler=person, kind=kind)

        assert Label.objects.current().by(person.pk).judgements().count() == 1

    def test_let_many_hold_an_answer_without_a_slot(self, response: Response) -> None:
        for kind in (Label.Kind.JUDGEMENT, Label.Kind.SELF_CHECK, Label.Kind.SELF_CHECK):
            hold(response, kind=kind, slot=None)
        hold(response, kind=Label.Kind.JUDGEMENT)
        hold(response, kind=Label.Kind.ADJUDICATION)

        assert Lease.objects.count() == 5

    def test_let_a_gold_answer_be_retired_and_set_anew(self, response: Response) -> None:
        make_gold(response, retired_at=NOW)
        make_gold(response, verdict="incorrect")

        assert response.gold_answers.count() == 2

    def test_let_a_label_be_superseded_and_voided(self, response: Response) -> None:
        person = make_user()
        first = make_label(response, labeler=person, is_current=False)
        make_label(response, labeler=person, supersedes=first, voided_at=NOW, void_reason="wrong key")
        make_label(response, labeler=person)

        assert Label.objects.current().count() == 1

    def test_keep_what_was_judged_and_who_judged(self, response: Response) -> None:
        label = make_label(response)

        with pytest.raises(ProtectedError):
            response.delete()
        assert label.labeler is not None
        with pytest.raises(ProtectedError):
            label.labeler.delete()
