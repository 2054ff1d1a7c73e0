"""Corrections: what they void, what follows from it, and what undoing them brings back."""

from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Response
from greenllm.dashboards.queries import study_tables
from greenllm.models import User
from labeling import correcting
from labeling.assigning import claim_answer
from labeling.correcting import (
    CorrectionRefused,
    Effect,
    Scope,
    Undoing,
    foresee,
    labels_of,
    undo_correction,
    void_labels,
)
from labeling.judging import Outcome, Vote, change_verdict, judge, take_back
from labeling.models import Correction, Guideline, Label, Verdict
from labeling.reliability import reliability
from labeling.verdicts import verdicts_of
from labeling.waiting import QueueFilter, count_in
from tests import factories as make
from tests.labeling.queues import make_annotator, make_answers, make_rule, reader_of
from tests.labeling.test_assigning import claim_all, in_threads
from tests.router.standins import make_federation
from tests.router.test_routing import LIKE_MATH, ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_annotator("ada")


@pytest.fixture
def bob() -> User:
    return make_annotator("bob")


@pytest.fixture
def root() -> User:
    return make.make_user("root")


def void(scope: Scope, *, by: User | None = None, reason: str = "Did not read the guideline.") -> Correction:
    return void_labels(scope=scope, reason=reason, person_id=by.pk if by else None, now=timezone.now())


def undo(correction: Correction, *, by: User | None = None) -> Undoing:
    return undo_correction(correction_id=correction.pk, person_id=by.pk if by else None, now=timezone.now())


def vote_on(answer: Response, verdict: str = "correct") -> Vote:
    return Vote(answer.pk, Verdict(verdict), None, timezone.now(), 1.0)


class TestVoidLabels:
    def test_takes_out_all_that_one_person_said_and_keeps_the_rows(self, ada: User, bob: User, root: User) -> None:
        first, second, third = make_answers(3)
        own = [make.make_label(answer, labeler=ada) for answer in (first, second)]
        other = make.make_label(third, labeler=bob)
        correction = void(Scope(annotator_id=ada.pk), by=root)
        for label in (*own, other):
            label.refresh_from_db()
        assert Label.objects.count() == 3
        assert [label.correction for label in own] == [correction, correction]
        assert {label.void_reason for label in own} == {"Did not read the guideline."}
        assert (other.correction, other.voided_at) == (None, None)
        assert (correction.label_count, correction.made_by, correction.annotator) == (2, root, ada)
        assert set(verdicts_of([first.pk, second.pk, third.pk])) == {third.pk}

    def test_takes_out_what_a_version_of_a_guideline_led_to(self, ada: User, bob: User) -> None:
        old, new = (Guideline.objects.create(version=version, text="Be kind.") for version in (1, 2))
        first, second = make_answers(2)
        make.make_label(first, labeler=ada, guideline=old)
        make.make_label(first, labeler=bob, guideline=old)
        make.make_label(second, labeler=ada, guideline=new)
        assert void(Scope(guideline=old)).label_count == 2
        assert Label.objects.current().get().guideline == new

    def test_takes_both_together_and_only_where_and_when_it_says(self, ada: User, bob: User) -> None:
        old = Guideline.objects.create(version=1, text="Be kind.")
        study, elsewhere = make.make_study("here"), make.make_study("elsewhere")
        math, late = make_answers(2, study=study)
        (code,) = make_answers(1, study=study, category="code")
        (other,) = make_answers(1, study=elsewhere)
        wanted = make.make_label(math, labeler=ada, guideline=old)
        make.make_label(math, labeler=bob, guideline=old)
        for answer in (code, other):
            make.make_label(answer, labeler=ada, guideline=old)
        make.make_label(late, labeler=ada)
        moment = timezone.now() - timedelta(days=2)
        Label.objects.filter(pk=wanted.pk).update(created_at=moment)
        scope = Scope(ada.pk, old, study, math.prompt.category, moment, moment + timedelta(seconds=1))
        assert list(scope.labels) == [wanted]
        assert not Scope(ada.pk, old, study, math.prompt.category, None, moment).labels.exists()
        assert void(scope).label_count == 1
        assert list(Label.objects.exclude(voided_at=None)) == [wanted]

    def test_leaves_what_counted_no_more_as_it_is(self, ada: User) -> None:
        first, second = make_answers(2)
        taken_back = make.make_label(first, labeler=ada)
        take_back(label_id=taken_back.pk, person_id=ada.pk, now=timezone.now())
        changed = make.make_label(second, "correct", labeler=ada)
        change_verdict(label_id=changed.pk, person_id=ada.pk, verdict=Verdict.INCORRECT)
        correction = void(Scope(annotator_id=ada.pk))
        assert list(correction.labels.values_list("verdict", flat=True)) == ["incorrect"]
        taken_back.refresh_from_db()
        assert taken_back.void_reason == "taken back by its judge"

    def test_goes_through_many_in_batches(
        self, ada: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        monkeypatch.setattr(correcting, "_BATCH_SIZE", 2)
        for answer in make_answers(5):
            make.make_label(answer, labeler=ada)
        with django_assert_num_queries(
            26
        ):  # three batches of six with their savepoints, an empty one of four, and four
            correction = void(Scope(annotator_id=ada.pk))
        assert (correction.label_count, Label.objects.current().count()) == (5, 0)
        assert undo(correction) == Undoing(5, 0)

    def test_counts_a_vote_that_comes_after_it_began(self, ada: User, bob: User) -> None:
        first, second = make_answers(2)
        make.make_label(first, labeler=ada)
        began = timezone.now()
        make.make_label(second, labeler=ada)
        correction = void_labels(scope=Scope(annotator_id=ada.pk), reason="Slips.", person_id=None, now=began)
        assert correction.label_count == 1
        assert Label.objects.current().get().response == second

    @pytest.mark.parametrize(
        ("facts", "reason", "said"),
        [
            ({}, "Slips.", "Name whose labels, or by which version of a guideline"),
            ({"annotator": True}, " ", "Say why"),
            ({"annotator": True, "since": timedelta(days=1)}, "Slips.", "The first moment must lie before the last"),
            ({"annotator": True, "until": timedelta(days=-9)}, "Slips.", "No label that counts is in this scope"),
        ],
    )
    def test_refuses_what_names_nobody_or_voids_nothing(
        self, ada: User, facts: dict[str, object], reason: str, said: str
    ) -> None:
        make.make_label(make_answers(1)[0], labeler=ada)
        moments = {name: timezone.now() + delta for name, delta in facts.items() if isinstance(delta, timedelta)}
        scope = Scope(annotator_id=ada.pk if "annotator" in facts else None, **moments)
        with pytest.raises(CorrectionRefused, match=said):
            void(scope, reason=reason)
        assert not Correction.objects.exists()


class TestConstraints:
    @pytest.mark.parametrize(
        ("name", "facts"),
        [
            ("correction_has_a_reason", {"reason": ""}),
            ("correction_names_a_judge_or_a_guideline", {"annotator": None}),
            ("correction_since_before_until", {"since": make.NOW}),
            ("correction_restores_once_undone", {"restored_count": 1}),
        ],
    )
    def test_hold(self, ada: User, name: str, facts: dict[str, object]) -> None:
        values = {"annotator": ada, "until": make.NOW, "reason": "Slips.", "created_at": make.NOW}
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Correction.objects.create(**{**values, **facts})


class TestForesight:
    def test_counts_verdicts_that_are_lost_turned_gained_and_handed_on(self, ada: User, bob: User) -> None:
        eve = make_annotator("eve")
        lost, turned, gained, handed, kept, untouched = make_answers(6)
        make.make_label(lost, "correct", labeler=ada)
        make.make_label(turned, "correct", labeler=ada, kind="adjudication")
        make.make_label(turned, "incorrect", labeler=bob)
        make.make_label(gained, "correct", labeler=ada)
        make.make_label(gained, "incorrect", labeler=bob)
        make.make_label(handed, "correct", labeler=ada)
        make.make_grader_label(handed, "correct")
        make.make_label(kept, "correct", labeler=ada)
        make.make_label(kept, "correct", labeler=bob)
        make.make_label(untouched, "correct", labeler=eve)
        assert foresee(scope=Scope(annotator_id=ada.pk)) == Effect(
            label_count=5, judge_count=1, answer_count=5, lost_count=1, turned_count=1, gained_count=1, handed_count=1
        )

    def test_says_what_then_comes_to_pass(self, ada: User, bob: User) -> None:
        answers = make_answers(4)
        for answer, verdict in zip(answers, ("correct", "incorrect", "correct", "unsure"), strict=True):
            make.make_label(answer, verdict, labeler=ada)
        make.make_label(answers[0], "correct", labeler=bob)
        before = verdicts_of(answer.pk for answer in answers)
        effect = foresee(scope=Scope(annotator_id=ada.pk))
        void(Scope(annotator_id=ada.pk))
        after = verdicts_of(answer.pk for answer in answers)
        decided = [sum(one.is_correct is not None for one in found.values()) for found in (before, after)]
        assert effect.lost_count == decided[0] - decided[1] == 2

    def test_changes_nothing_in_two_queries_a_batch(
        self, ada: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for answer in make_answers(5):
            make.make_label(answer, labeler=ada)
        with django_assert_num_queries(4):  # totals, labels, verdicts before and after
            foresee(scope=Scope(annotator_id=ada.pk))
        assert Label.objects.current().count() == 5


class TestQueue:
    @pytest.mark.slow
    def test_gives_the_answers_out_again_at_once(self, ada: User, bob: User) -> None:
        answers = make_answers(5)
        now = timezone.now()
        make.make_label(answers[0], labeler=ada)
        claim_answer(reader=reader_of(bob), now=now)  # bob has a list of the four others, good for two minutes
        void(Scope(annotator_id=ada.pk))
        assert count_in(QueueFilter()).judged_count == 0
        given = [claim_answer(reader=reader_of(bob), now=now) for _ in range(4)]
        assert answers[0].pk in given

    @pytest.mark.slow
    def test_gives_them_to_other_people_first(self, ada: User, bob: User) -> None:
        answers = make_answers(6)
        for answer in answers[:3]:
            make.make_label(answer, labeler=ada)
        void(Scope(annotator_id=ada.pk))
        voided = {answer.pk for answer in answers[:3]}
        order = claim_all(reader_of(ada))
        assert (set(order[:3]) & voided, set(order[3:])) == (set(), voided)


class TestFigures:
    def test_leave_voided_labels_out(self, ada: User, bob: User) -> None:
        make_rule(judgements=2)
        for answer in make_answers(3):
            make.make_label(answer, "correct", labeler=ada, active_seconds=2.0)
            make.make_label(answer, "incorrect", labeler=bob, active_seconds=2.0)
        assert set(reliability().by_pair) == {(ada.pk, bob.pk)}
        correction = void(Scope(annotator_id=ada.pk))
        found = reliability()
        assert ([one.person_id for one in found.people], found.by_pair) == ([bob.pk], {})
        undo(correction)
        assert set(reliability().by_pair) == {(ada.pk, bob.pk)}

    def test_of_the_study_tables_leave_them_out(self, ada: User) -> None:
        study = make.make_study()
        for answer in make_answers(3, study=study):
            make.make_label(answer, "correct", labeler=ada)
        correction = void(Scope(annotator_id=ada.pk))
        (cell,) = study_tables(study).cells.values()
        assert (cell.judged_count, cell.response_count) == (0, 3)
        undo(correction)
        (cell,) = study_tables(study).cells.values()
        assert (cell.judged_count, cell.correct_count) == (3, 3)

    @pytest.mark.slow
    def test_of_routing_follow_at_once(self, ada: User) -> None:
        federation = make_federation()
        answer = Response.objects.get(prompt=federation.math, deployment=federation.small)
        make.make_label(answer, "incorrect", labeler=ada)
        assert ask(federation, LIKE_MATH).chosen == federation.large
        correction = void(Scope(annotator_id=ada.pk))
        assert ask(federation, LIKE_MATH).chosen == federation.small  # a grader says that it is right
        undo(correction)
        assert ask(federation, LIKE_MATH).chosen == federation.large


class TestUndoCorrection:
    def test_restores_exactly_its_labels(self, ada: User, root: User) -> None:
        first, second = make_answers(2)
        make.make_label(first, labeler=ada)
        gone = make.make_label(second, labeler=ada)
        take_back(label_id=gone.pk, person_id=ada.pk, now=timezone.now())
        correction = void(Scope(annotator_id=ada.pk))
        assert undo(correction, by=root) == Undoing(restored_count=1, left_count=0)
        label = Label.objects.current().get()
        assert (label.response, label.void_reason, label.correction) == (first, "", correction)
        correction.refresh_from_db()
        assert (correction.undone_by, correction.restored_count, correction.label_count) == (root, 1, 1)

    def test_leaves_out_what_its_judge_has_judged_anew_until_that_is_gone(self, ada: User, bob: User) -> None:
        first, second = make_answers(2)
        for answer in (first, second):
            make.make_label(answer, "correct", labeler=ada)
        correction = void(Scope(annotator_id=ada.pk))
        anew = make.make_label(first, "incorrect", labeler=ada)
        make.make_label(second, "incorrect", labeler=bob)  # somebody else's is not in the way
        assert undo(correction) == Undoing(restored_count=1, left_count=1)
        assert [
            (one.response, one.is_judged_anew) for one in labels_of(correction).filter(voided_at__isnull=False)
        ] == [(first, True)]
        assert undo(correction) == Undoing(restored_count=0, left_count=1)
        take_back(label_id=anew.pk, person_id=ada.pk, now=timezone.now())
        assert undo(correction) == Undoing(restored_count=1, left_count=0)
        with pytest.raises(CorrectionRefused, match="undone already"):
            undo(correction)

    def test_leaves_what_a_later_correction_voided(self, ada: User) -> None:
        (answer,) = make_answers(1)
        make.make_label(answer, labeler=ada)
        first = void(Scope(annotator_id=ada.pk))
        undo(first)
        second = void(Scope(annotator_id=ada.pk))
        with pytest.raises(CorrectionRefused, match="undone already"):
            undo(first)
        assert Label.objects.get().correction == second

    def test_says_which_there_is_not(self) -> None:
        with pytest.raises(CorrectionRefused, match="There is no correction 77"):
            undo_correction(correction_id=77, person_id=None, now=timezone.now())

    def test_lets_a_person_who_was_corrected_judge_again(self, ada: User) -> None:
        (answer,) = make_answers(1)
        make.make_label(answer, "correct", labeler=ada)
        void(Scope(annotator_id=ada.pk))
        assert claim_answer(reader=reader_of(ada), now=timezone.now()) == answer.pk
        assert judge(person_id=ada.pk, vote=vote_on(answer, "incorrect")) is Outcome.SAVED
        assert verdicts_of([answer.pk])[answer.pk].is_correct is False


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_no_vote_is_lost_while_corrections_are_made_and_undone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(correcting, "_BATCH_SIZE", 3)
        answers = make_answers(40)
        people = [make_annotator(f"person {number}") for number in range(4)]
        outcomes: Counter[Outcome] = Counter()

        def work(person: User | None) -> None:
            if person is None:
                for _ in range(10):
                    for one in people:
                        with suppress(CorrectionRefused):
                            undo(void(Scope(annotator_id=one.pk)))
                return
            while (response_id := claim_answer(reader=reader_of(person), now=timezone.now())) is not None:
                outcomes[judge(person_id=person.pk, vote=vote_on(Response(pk=response_id)))] += 1

        in_threads([*people, None], work)
        assert Label.objects.count() == outcomes[Outcome.SAVED] + outcomes[Outcome.KEPT]
        assert not Label.objects.filter(correction__undone_at__isnull=True, voided_at__isnull=False).exists()
        restored = sum(Correction.objects.values_list("restored_count", flat=True))
        voided = sum(Correction.objects.values_list("label_count", flat=True))
        assert Label.objects.filter(voided_at__isnull=False).count() == voided - restored
        assert {answer.pk for answer in answers} == set(Label.objects.current().values_list("response_id", flat=True))

    def test_two_corrections_of_the_same_labels_void_each_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(correcting, "_BATCH_SIZE", 3)
        ada = make_annotator("ada")
        for answer in make_answers(30):
            make.make_label(answer, labeler=ada)

        def work(_: object) -> None:
            with suppress(CorrectionRefused):
                void(Scope(annotator_id=ada.pk))

        in_threads([1, 2, 3], work)
        assert sum(Correction.objects.values_list("label_count", flat=True)) == 30
        assert not Label.objects.current().exists()
