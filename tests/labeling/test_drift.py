"""How labels change over time."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from benchmarks.intervals import share_interval
from benchmarks.models import Response
from greenllm.models import User
from labeling.drift import MOST_PERIODS, Per, Period, drift, drift_of_each
from labeling.models import GoldAnswer, Grade, Label
from tests import factories as make
from tests.labeling.queues import make_answers

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")


def said(response: Response, verdict: str, *, at: datetime, by: User, **facts: Any) -> None:
    label = make.make_label(response, verdict, labeler=by, **facts)
    Label.objects.filter(pk=label.pk).update(created_at=at)


def graded(response: Response, verdict: str, *, version: int = 1) -> None:
    Grade.objects.create(
        response=response, grader="number", grader_version=version, verdict=verdict, reason="7", duration_ms=1
    )


def counted(periods: tuple[Period, ...]) -> list[tuple[int, float | None]]:
    """Return of each period how many labels it has, and the share that says correct."""
    return [(one.label_count, one.correct and one.correct.value) for one in periods]


@pytest.fixture
def anna() -> User:
    return make.make_user("anna")


@pytest.fixture
def ben() -> User:
    return make.make_user("ben")


class TestDays:
    def test_are_of_all_people_or_of_one(self, anna: User, ben: User) -> None:
        one, two, three = make_answers(3)
        said(one, "correct", at=NOON, by=anna)
        said(one, "incorrect", at=NOON, by=ben)
        said(two, "correct", at=NOON + DAY, by=anna)
        said(three, "unsure", at=NOON + 3 * DAY, by=anna)

        of_all, of_anna = drift(per=Per.DAYS), drift(per=Per.DAYS, person_id=anna.pk)

        assert (of_all.length, counted(of_all.periods)) == (1, [(2, 0.5), (1, 1.0), (1, 0.0)])
        assert counted(of_anna.periods) == [(1, 1.0), (1, 1.0), (1, 0.0)]
        assert of_all.periods[0].correct == share_interval(1, 2)
        assert [one.first_at for one in of_all.periods] == [NOON, NOON + DAY, NOON + 3 * DAY]
        assert {key: counted(found) for key, found in drift_of_each().items()} == {
            None: counted(of_all.periods), anna.pk: counted(of_anna.periods), ben.pk: [(1, 0.0)],
        }  # fmt: skip

    def test_begin_at_midnight_utc(self, anna: User) -> None:
        for response, hours in zip(make_answers(3), (11.9, 12.0, 35.9), strict=True):
            said(response, "correct", at=NOON + timedelta(hours=hours), by=anna)
        assert counted(drift(per=Per.DAYS).periods) == [(1, 1.0), (2, 1.0)]

    def test_become_weeks_where_there_would_be_too_many(self, anna: User) -> None:
        for response, day in zip(make_answers(3), (0, 6, MOST_PERIODS), strict=True):
            said(response, "correct", at=NOON + day * DAY, by=anna)
        found = drift(per=Per.DAYS)
        assert (found.length, [one.label_count for one in found.periods]) == (7, [2, 1])

    def test_of_nobody_are_none(self) -> None:
        assert drift(per=Per.DAYS).periods == drift(per=Per.LABELS).periods == ()
        assert drift_of_each() == {}


@pytest.mark.slow
class TestLabels:
    def test_come_by_fifty_in_the_order_of_time(self, anna: User) -> None:
        for number, response in enumerate(make_answers(60)):
            said(response, "correct" if number < 50 else "incorrect", at=NOON - number * DAY, by=anna)
        found = drift(per=Per.LABELS)
        assert (found.length, counted(found.periods)) == (50, [(50, 0.8), (10, 1.0)])

    def test_come_in_larger_numbers_where_there_would_be_too_many(
        self, anna: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("labeling.drift._LABELS", 1)
        for response in make_answers(MOST_PERIODS + 1):
            said(response, "correct", at=NOON, by=anna)
        found = drift(per=Per.LABELS)
        assert (found.length, len(found.periods)) == (2, 31)


class TestShares:
    def test_as_gold_count_gold_answers_in_use(self, anna: User) -> None:
        golden, other, retired, _ = make_answers(4)
        for response, retired_at in ((golden, None), (other, None), (retired, make.NOW)):
            GoldAnswer.objects.create(response=response, verdict="correct", reason="known", retired_at=retired_at)
        for response, verdict in ((golden, "correct"), (other, "incorrect"), (retired, "correct")):
            said(response, verdict, at=NOON, by=anna)
        assert drift(per=Per.DAYS).periods[0].as_gold == share_interval(1, 2)

    def test_as_before_count_where_the_same_answer_came_again(self, anna: User, ben: User) -> None:
        one, two = make_answers(2)
        for response in (one, two):
            said(response, "correct", at=NOON, by=anna)
            said(response, "incorrect", at=NOON, by=ben)
        said(one, "correct", at=NOON + DAY, by=anna, kind="self_check")
        said(two, "incorrect", at=NOON + DAY, by=anna, kind="self_check")

        first, second = drift(per=Per.DAYS).periods

        assert (first.as_before, second.as_before) == (None, share_interval(1, 2))
        assert (second.label_count, second.correct) == (2, None)

    def test_as_the_grader_count_blind_labels_and_its_latest_version(self, anna: User) -> None:
        same, other, unsure, seen, ungraded = make_answers(5)
        graded(same, "incorrect")
        graded(same, "correct", version=2)
        graded(other, "incorrect")
        graded(unsure, "unsure")
        graded(seen, "correct")
        for response in (same, other, unsure, ungraded):
            said(response, "correct", at=NOON, by=anna)
        said(seen, "correct", at=NOON, by=anna, saw_evidence=True)
        assert drift(per=Per.DAYS).periods[0].as_grader == share_interval(1, 2)

    def test_leave_out_what_is_not_current_or_no_readers(self, anna: User, ben: User) -> None:
        (response,) = make_answers(1)
        said(response, "correct", at=NOON, by=anna)
        said(response, "incorrect", at=NOON, by=ben, is_current=False)
        said(response, "incorrect", at=NOON, by=make.make_user(), voided_at=make.NOW, void_reason="test")
        said(response, "incorrect", at=NOON, by=ben, kind="adjudication")
        make.make_grader_label(response, "incorrect")
        assert counted(drift(per=Per.DAYS).periods) == [(1, 1.0)]
