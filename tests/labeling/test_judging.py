from datetime import timedelta

import pytest
from django.utils import timezone

from benchmarks.models import Response
from greenllm.models import User
from labeling.assigning import claim_answer, hold_answers, skip_answer
from labeling.judging import (
    TAKEN_BACK,
    Hindrance,
    LabelNotCurrent,
    Outcome,
    Undone,
    Vote,
    change_verdict,
    judge,
    take_back,
    take_back_latest,
)
from labeling.models import Guideline, Label, Lease, Skip, Verdict
from labeling.verdicts import verdicts_of
from labeling.waiting import SESSION
from tests import factories as make
from tests.labeling.queues import NOW, make_annotator, make_answers, moment, reader_of

pytestmark = pytest.mark.django_db


def vote_on(response: Response | int, verdict: Verdict = Verdict.CORRECT, **facts: object) -> Vote:
    response_id = response if isinstance(response, int) else response.pk
    values = {"guideline_id": None, "shown_at": NOW, "active_seconds": 3.5}
    return Vote(response_id=response_id, verdict=verdict, **{**values, **facts})  # type: ignore[arg-type]


@pytest.fixture
def ada() -> User:
    return make_annotator("ada")


@pytest.fixture
def bob() -> User:
    return make_annotator("bob")


@pytest.fixture
def answer() -> Response:
    return make_answers(1)[0]


class TestJudge:
    def test_stores_who_said_what_when_and_by_which_guideline(self, ada: User, answer: Response) -> None:
        guideline = Guideline.objects.create(version=1, text="Read.")
        claim_answer(reader=reader_of(ada), now=NOW)
        assert judge(person_id=ada.pk, vote=vote_on(answer, guideline_id=guideline.pk)) is Outcome.SAVED
        label = Label.objects.get()
        assert (label.response, label.verdict, label.source, label.labeler) == (answer, "correct", "person", ada)
        assert (label.guideline, label.shown_at, label.active_seconds) == (guideline, NOW, 3.5)
        assert not Lease.objects.exists()

    @pytest.mark.parametrize(("said", "kept"), [(500.0, 120.0), (-1.0, 0.0), (7.0, 7.0)])
    def test_keeps_active_time_within_reason(self, ada: User, answer: Response, said: float, kept: float) -> None:
        claim_answer(reader=reader_of(ada), now=NOW)
        judge(person_id=ada.pk, vote=vote_on(answer, active_seconds=said))
        assert Label.objects.get().active_seconds == kept

    def test_saves_the_same_vote_once_however_often_it_is_sent(self, ada: User, answer: Response) -> None:
        claim_answer(reader=reader_of(ada), now=NOW)
        outcomes = [judge(person_id=ada.pk, vote=vote_on(answer)) for _ in range(3)]
        assert outcomes == [Outcome.SAVED, Outcome.REPEATED, Outcome.REPEATED]
        assert Label.objects.count() == 1

    def test_does_not_let_a_second_window_overwrite_the_first(self, ada: User, answer: Response) -> None:
        claim_answer(reader=reader_of(ada), now=NOW)
        judge(person_id=ada.pk, vote=vote_on(answer))
        assert judge(person_id=ada.pk, vote=vote_on(answer, Verdict.INCORRECT)) is Outcome.CONFLICTING
        assert Label.objects.get().verdict == "correct"

    def test_takes_a_vote_after_expiry_as_long_as_nobody_took_over(self, ada: User, answer: Response) -> None:
        claim_answer(reader=reader_of(ada), now=moment(days=-1))
        assert judge(person_id=ada.pk, vote=vote_on(answer)) is Outcome.SAVED

    def test_keeps_a_late_vote_while_the_other_person_has_not_judged(
        self, ada: User, bob: User, answer: Response
    ) -> None:
        claim_answer(reader=reader_of(ada), now=NOW)
        assert claim_answer(reader=reader_of(bob), now=moment(minutes=11)) == answer.pk
        assert judge(person_id=ada.pk, vote=vote_on(answer)) is Outcome.KEPT
        assert Label.objects.get().labeler == ada
        # and the other person, who holds a lease in force, loses nothing either
        assert judge(person_id=bob.pk, vote=vote_on(answer)) is Outcome.SAVED

    def test_leaves_out_a_late_vote_where_the_other_person_has_judged(
        self, ada: User, bob: User, answer: Response
    ) -> None:
        claim_answer(reader=reader_of(ada), now=NOW)
        claim_answer(reader=reader_of(bob), now=moment(minutes=11))
        judge(person_id=bob.pk, vote=vote_on(answer))
        assert judge(person_id=ada.pk, vote=vote_on(answer, Verdict.INCORRECT)) is Outcome.TOO_LATE
        assert Label.objects.get().labeler == bob

    def test_forgets_that_the_answer_was_skipped(self, ada: User, answer: Response) -> None:
        skip_answer(person_id=ada.pk, response_id=answer.pk, now=NOW)
        judge(person_id=ada.pk, vote=vote_on(answer))
        assert not Skip.objects.exists()

    def test_counts_before_the_graders(self, ada: User, answer: Response) -> None:
        make.make_grader_label(answer, "correct")
        claim_answer(reader=reader_of(ada), now=NOW)
        judge(person_id=ada.pk, vote=vote_on(answer, Verdict.INCORRECT))
        assert verdicts_of([answer.pk])[answer.pk].is_correct is False


class TestUndo:
    def test_voids_the_vote_and_brings_the_answer_back_first(self, ada: User) -> None:
        make_answers(3)
        first = hold_answers(reader=reader_of(ada), now=timezone.now())[0]
        judge(person_id=ada.pk, vote=vote_on(first.response_id))
        undone = take_back_latest(person_id=ada.pk, now=timezone.now())
        assert (undone.undone, undone.is_held) == (Undone.VOTE, True)
        label = Label.objects.get()
        assert (label.void_reason, label.voided_at is None) == (TAKEN_BACK, False)
        assert hold_answers(reader=reader_of(ada), now=timezone.now())[0].response_id == first.response_id

    def test_goes_back_step_by_step_over_votes_and_skips(self, ada: User) -> None:
        one, two, three = (answer.pk for answer in make_answers(3))
        judge(person_id=ada.pk, vote=vote_on(one))
        skip_answer(person_id=ada.pk, response_id=two, now=timezone.now())
        judge(person_id=ada.pk, vote=vote_on(three))
        steps, shown = [], []
        for _ in range(4):
            steps.append(take_back_latest(person_id=ada.pk, now=timezone.now()).undone)
            shown.append(hold_answers(reader=reader_of(ada), now=timezone.now())[0].response_id)
        assert steps == [Undone.VOTE, Undone.SKIP, Undone.VOTE, Undone.NOTHING]
        assert shown == [three, two, one, one]

    def test_ends_with_the_sitting(self, ada: User, answer: Response) -> None:
        judge(person_id=ada.pk, vote=vote_on(answer))
        later = timezone.now() + SESSION
        assert take_back_latest(person_id=ada.pk, now=later).undone is Undone.NOTHING
        assert Label.objects.current().count() == 1

    def test_leaves_other_people_alone(self, ada: User, bob: User, answer: Response) -> None:
        judge(person_id=bob.pk, vote=vote_on(answer))
        assert take_back_latest(person_id=ada.pk, now=timezone.now()).undone is Undone.NOTHING

    def test_lets_the_answer_be_judged_anew(self, ada: User, answer: Response) -> None:
        judge(person_id=ada.pk, vote=vote_on(answer))
        take_back_latest(person_id=ada.pk, now=timezone.now())
        assert judge(person_id=ada.pk, vote=vote_on(answer, Verdict.INCORRECT)) is Outcome.SAVED
        assert Label.objects.current().get().verdict == "incorrect"
        assert Label.objects.count() == 2

    def test_leaves_the_answer_to_whoever_looks_at_it(self, ada: User, bob: User, answer: Response) -> None:
        now = timezone.now()
        claim_answer(reader=reader_of(ada), now=now - timedelta(minutes=11))
        claim_answer(reader=reader_of(bob), now=now)
        judge(person_id=ada.pk, vote=vote_on(answer))
        undone = take_back_latest(person_id=ada.pk, now=now)
        assert (undone.undone, undone.is_held) == (Undone.VOTE, False)
        assert Lease.objects.get().annotator == bob
        assert undone.hindrance is Hindrance.HELD

    @pytest.mark.parametrize(
        ("first_verdict", "is_adjudicating"),
        [("", True), ("unsure", False)],
        ids=["a reader's skip, undone while settling", "a settler's skip, undone while reading"],
    )
    def test_tells_that_a_skipped_answer_belongs_to_the_other_mode(
        self, ada: User, answer: Response, first_verdict: str, is_adjudicating: bool
    ) -> None:
        if first_verdict:
            make.make_label(answer, first_verdict)
        skip_answer(person_id=ada.pk, response_id=answer.pk, now=timezone.now())
        undone = take_back_latest(person_id=ada.pk, now=timezone.now(), is_adjudicating=is_adjudicating)
        assert (undone.undone, undone.hindrance) == (Undone.SKIP, Hindrance.OTHER_MODE)
        assert not Skip.objects.exists()
        assert not Lease.objects.exists()

    def test_tells_that_a_skipped_answer_was_judged_meanwhile(self, ada: User, answer: Response) -> None:
        skip_answer(person_id=ada.pk, response_id=answer.pk, now=timezone.now())
        make.make_label(answer)
        undone = take_back_latest(person_id=ada.pk, now=timezone.now())
        assert (undone.undone, undone.hindrance) == (Undone.SKIP, Hindrance.DONE)


class TestChange:
    def test_supersedes_and_keeps_the_old_label(self, ada: User, answer: Response) -> None:
        guideline = Guideline.objects.create(version=1, text="Read.")
        judge(person_id=ada.pk, vote=vote_on(answer, guideline_id=guideline.pk))
        old = Label.objects.get()
        new = change_verdict(label_id=old.pk, person_id=ada.pk, verdict=Verdict.INCORRECT)
        old.refresh_from_db()
        assert (new.supersedes, new.verdict, new.guideline) == (old, "incorrect", guideline)
        assert (old.is_current, old.verdict) == (False, "correct")
        assert list(Label.objects.current()) == [new]

    def test_does_nothing_where_the_verdict_is_the_same(self, ada: User, answer: Response) -> None:
        judge(person_id=ada.pk, vote=vote_on(answer))
        change_verdict(label_id=Label.objects.get().pk, person_id=ada.pk, verdict=Verdict.CORRECT)
        assert Label.objects.count() == 1

    def test_refuses_what_is_not_theirs_or_no_longer_counts(self, ada: User, bob: User, answer: Response) -> None:
        judge(person_id=ada.pk, vote=vote_on(answer))
        label = Label.objects.get()
        with pytest.raises(LabelNotCurrent):
            change_verdict(label_id=label.pk, person_id=bob.pk, verdict=Verdict.INCORRECT)
        with pytest.raises(LabelNotCurrent):
            take_back(label_id=label.pk, person_id=bob.pk, now=NOW)
        take_back(label_id=label.pk, person_id=ada.pk, now=NOW)
        with pytest.raises(LabelNotCurrent):
            take_back(label_id=label.pk, person_id=ada.pk, now=NOW)
        assert Label.objects.get().verdict == "correct"
