import pytest
from django.utils import timezone

from benchmarks.models import Category
from labeling.assigning import claim_answer, skip_answer
from labeling.models import Label
from labeling.waiting import QueueFilter, is_waiting, progress_in, remainder_in
from tests import factories as make
from tests.labeling.queues import NOW, make_annotator, make_answers, make_rule, moment, reader_of

pytestmark = pytest.mark.django_db
ALL = QueueFilter()


class TestProgress:
    def test_counts_what_people_judged_of_what_is_finished(self) -> None:
        first, second, _ = make_answers(3)
        make.make_label(first)
        make.make_label(first)
        make.make_grader_label(second, "correct")
        progress = progress_in(chosen=ALL, person_id=0, since=NOW)
        assert (progress.total_count, progress.judged_count, progress.left_count) == (3, 1, 2)

    def test_counts_within_the_filter(self) -> None:
        study = make.make_study()
        answers = make_answers(2, study=study, category="code")
        make_answers(3, study=study, category="math")
        make.make_label(answers[0])
        code = QueueFilter(study=study, category=Category.objects.get(name="code"))
        progress = progress_in(chosen=code, person_id=0, since=NOW)
        assert (progress.total_count, progress.judged_count) == (2, 1)

    def test_waits_for_as_many_people_as_shall_judge(self) -> None:
        first, second = make_answers(2)
        make_rule(judgements=2)
        for answer in (first, first, second):
            make.make_label(answer)
        assert progress_in(chosen=ALL, person_id=0, since=NOW).judged_count == 1
        assert is_waiting(response_id=second.pk)
        assert not is_waiting(response_id=first.pk)

    def test_tells_a_persons_own_pace_since_the_morning(self) -> None:
        ada, answers = make_annotator(), make_answers(5)
        for answer, seconds in zip(answers, [2.0, 4.0, 30.0, None, 1.0], strict=True):
            make.make_label(answer, labeler=ada, active_seconds=seconds)
        yesterday = Label.objects.get(response=answers[4])
        Label.objects.filter(pk=yesterday.pk).update(created_at=moment(days=-1))
        make.make_label(answers[0], active_seconds=99.0)
        progress = progress_in(chosen=ALL, person_id=ada.pk, since=NOW)
        assert (progress.own_count, progress.median_seconds, progress.timed_count) == (4, 4.0, 3)

    def test_has_no_pace_before_the_first_label(self) -> None:
        progress = progress_in(chosen=ALL, person_id=make_annotator().pk, since=timezone.now())
        assert (progress.own_count, progress.median_seconds) == (0, None)


class TestRemainder:
    def test_says_what_rests_and_what_others_hold(self) -> None:
        ada, bob = make_annotator(), make_annotator()
        skipped, _held, judged, _ = make_answers(4)
        skip_answer(person_id=ada.pk, response_id=skipped.pk, now=NOW)
        make.make_label(judged)
        for _ in range(2):
            claim_answer(reader=reader_of(bob), now=NOW)
        remainder = remainder_in(chosen=ALL, person_id=ada.pk, now=NOW)
        assert (remainder.left_count, remainder.skipped_count, remainder.held_count) == (3, 1, 2)
        later = remainder_in(chosen=ALL, person_id=ada.pk, now=moment(days=1))
        assert (later.left_count, later.skipped_count, later.held_count) == (3, 0, 0)
