"""When the judging of a study has ended or stalled, and that it is noticed once."""

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Response, Study
from greenllm.models import User
from labeling.campaigning import campaigns, dismiss_notice, notice_campaigns, notices_for
from labeling.correcting import Scope, void_labels
from labeling.judging import change_verdict
from labeling.models import CampaignNotice, Flag, Label, Verdict
from tests import factories as make
from tests.labeling.queues import make_annotator, make_answers, make_rule
from tests.labeling.test_assigning import in_threads

pytestmark = pytest.mark.django_db

DAY = timedelta(hours=24)


@pytest.fixture
def ada() -> User:
    return make_annotator("ada")


@pytest.fixture
def study() -> Study:
    return make.make_study("demo", state=Study.State.FINISHED)


@pytest.fixture
def answers(study: Study) -> list[Response]:
    return make_answers(2, study=study)


def look(*, hours: float = 0) -> list[tuple[str, str]]:
    """Look for ends and stalls so many hours from now; return what is new."""
    now = timezone.now() + timedelta(hours=hours)
    return [(one.study.name, one.kind) for one in notice_campaigns(now=now, stall_after=DAY)]


def in_force() -> list[str]:
    return list(CampaignNotice.objects.filter(over_at__isnull=True).order_by("pk").values_list("kind", flat=True))


def judge_at(answer: Response, moment: datetime, **facts: object) -> Label:
    label = make.make_label(answer, **facts)
    Label.objects.filter(pk=label.pk).update(created_at=moment)
    return label


class TestEnd:
    def test_is_noticed_once_when_nothing_waits(self, ada: User, answers: list[Response]) -> None:
        make.make_label(answers[0], labeler=ada)
        assert look() == []
        make.make_label(answers[1], labeler=ada)
        assert look() == [("demo", "ended")]
        assert [look(), look(hours=99)] == [[], []]
        notice = CampaignNotice.objects.get()
        assert (notice.answer_count, notice.reader_count) == (2, 0)
        assert notice.text.startswith("None of its 2 answers waits any more; the last verdict was given ")

    def test_is_noticed_again_when_the_judging_went_on(self, ada: User, answers: list[Response]) -> None:
        for answer in answers:
            make.make_label(answer, labeler=ada)
        look()
        void_labels(scope=Scope(annotator_id=ada.pk), reason="Slips.", person_id=None, now=timezone.now())
        assert (look(), in_force()) == ([], [])
        for answer in answers:
            make.make_label(answer, labeler=make_annotator())
        assert look() == [("demo", "ended")]
        assert CampaignNotice.objects.count() == 2

    def test_is_noticed_again_where_nobody_looked_in_between(self, ada: User, answers: list[Response]) -> None:
        for answer in answers:
            make.make_label(answer, labeler=ada)
        look()
        make_rule(judgements=2)
        for answer in answers:
            make.make_label(answer, labeler=make_annotator())
        assert (look(), in_force()) == ([("demo", "ended")], ["ended"])

    def test_does_not_come_while_answers_are_still_measured(
        self, ada: User, study: Study, answers: list[Response]
    ) -> None:
        for answer in answers:
            make.make_label(answer, labeler=ada)
        Study.objects.filter(pk=study.pk).update(state=Study.State.RUNNING)
        assert look() == []
        assert look(hours=99) == []

    def test_waits_for_adjudicators_and_not_for_what_was_withdrawn(self, ada: User, answers: list[Response]) -> None:
        disputed, withdrawn = answers
        make_rule(judgements=2, max_readers=2)
        make.make_label(disputed, "correct", labeler=ada)
        make.make_label(disputed, "incorrect")
        facts = {"resolution": "withdrawn", "resolved_at": make.NOW, "resolved_by": ada, "created_at": make.NOW}
        Flag.objects.create(response=withdrawn, person=ada, reason="No question.", **facts)
        assert look() == []
        assert look(hours=25) == [("demo", "stalled")]
        assert "0 of its 1 answers waited for a reader and 1 for an adjudicator" in CampaignNotice.objects.get().text
        make.make_label(disputed, "correct", kind="adjudication")
        assert (look(), in_force()) == ([("demo", "ended")], ["ended"])

    def test_stays_the_same_when_a_verdict_is_changed_or_checked(self, ada: User, answers: list[Response]) -> None:
        for answer in answers:
            label = make.make_label(answer, labeler=ada)
        look()
        change_verdict(label_id=label.pk, person_id=ada.pk, verdict=Verdict.INCORRECT)
        make.make_label(answers[0], labeler=ada, kind="self_check")
        assert look() == []


class TestStall:
    def test_is_noticed_once_after_so_many_hours(self, ada: User, answers: list[Response]) -> None:
        make.make_label(answers[0], labeler=ada)
        assert look(hours=23.9) == []
        assert look(hours=24.1) == [("demo", "stalled")]
        assert look(hours=48) == []
        text = CampaignNotice.objects.get().text
        assert text.startswith("Nobody has judged since ")
        assert text.endswith("UTC, and 1 of its 2 answers waited for a reader.")

    def test_is_over_when_somebody_judges_on_and_may_come_again(self, ada: User, answers: list[Response]) -> None:
        make_rule(judgements=2)
        now = timezone.now()
        judge_at(answers[0], now - timedelta(hours=60), labeler=ada)
        assert look() == [("demo", "stalled")]
        judge_at(answers[1], now - timedelta(hours=1), labeler=ada)
        assert (look(), in_force()) == ([], [])
        assert look(hours=24) == [("demo", "stalled")]

    def test_of_a_campaign_that_went_on_and_stalled_unseen_is_a_new_one(
        self, ada: User, answers: list[Response]
    ) -> None:
        make_rule(judgements=2)
        judge_at(answers[0], timezone.now() - timedelta(hours=60), labeler=ada)
        look()
        judge_at(answers[1], timezone.now() - timedelta(hours=30), labeler=ada)
        assert (look(), in_force()) == ([("demo", "stalled")], ["stalled"])

    def test_needs_that_somebody_had_begun(self, ada: User, study: Study, answers: list[Response]) -> None:
        make.make_grader_label(answers[0], "correct")
        make.make_label(answers[0], labeler=ada, kind="adjudication")  # an admin set it as gold
        assert look(hours=99) == []

    def test_is_not_told_of_labels_that_came_with_a_bundle(
        self, ada: User, study: Study, answers: list[Response]
    ) -> None:
        judge_at(answers[0], timezone.now() - timedelta(days=90), labeler=ada)
        Study.objects.filter(pk=study.pk).update(imported_at=timezone.now() - timedelta(days=60))
        assert look() == []
        judge_at(answers[1], timezone.now() - timedelta(days=30), labeler=ada)
        assert look() == [("demo", "ended")]


class TestCampaigns:
    def test_count_each_study_apart(self, ada: User, study: Study, answers: list[Response]) -> None:
        other = make.make_study("other")
        make.make_label(make_answers(3, study=other)[0], labeler=ada)
        make_answers(1, study=make.make_study("untouched"))
        make.make_label(answers[0], labeler=ada)
        assert [(one.study_id, one.answer_count, one.left_count) for one in campaigns()] == [
            (study.pk, 2, 1),
            (other.pk, 3, 2),
        ]

    def test_need_three_queries_where_nothing_is_new(
        self, ada: User, answers: list[Response], django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for answer in (*answers, *make_answers(3)):
            make.make_label(answer, labeler=ada)
        look()
        with django_assert_num_queries(3):
            look()


class TestNotices:
    def make_notice(self, study: Study) -> CampaignNotice:
        return CampaignNotice.objects.create(
            study=study, kind="ended", noticed_at=make.NOW, latest_label_at=make.NOW, answer_count=2
        )

    def test_are_shown_to_each_person_until_they_dismiss_them(self, ada: User, study: Study) -> None:
        notice, bob = self.make_notice(study), make.make_user("bob")
        for _ in range(2):
            assert dismiss_notice(notice_id=notice.pk, person_id=ada.pk, now=make.NOW)
        assert (list(notices_for(ada.pk)), list(notices_for(bob.pk))) == ([], [notice])
        assert not dismiss_notice(notice_id=notice.pk + 1, person_id=ada.pk, now=make.NOW)

    def test_that_are_over_are_shown_to_nobody(self, ada: User, study: Study) -> None:
        notice = self.make_notice(study)
        CampaignNotice.objects.update(over_at=make.NOW)
        assert list(notices_for(ada.pk)) == []
        assert str(notice) == f"judging of study {study.pk} ended"

    def test_are_one_a_study(self, study: Study) -> None:
        self.make_notice(study)
        with pytest.raises(IntegrityError, match="campaign_notice_one_in_force"), transaction.atomic():
            self.make_notice(study)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_notice_an_end_once(self) -> None:
        for answer in make_answers(3, study=make.make_study("demo", state=Study.State.FINISHED)):
            make.make_label(answer)
        found = in_threads([1, 2, 3, 4, 5, 6], lambda _: look())
        assert sorted(map(len, found)) == [0, 0, 0, 0, 0, 1]  # type: ignore[arg-type]
        assert CampaignNotice.objects.count() == 1
