from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from labeling.models import Label
from labeling.pace import Stretch, pace
from tests import factories as make

pytestmark = pytest.mark.django_db


def label(day: int, *, seconds: float | None, by: str = "", **facts: object) -> Label:
    person = make.make_user(by)
    response = make.make_response(make.make_prompt(), make.make_deployment(f"model-{Label.objects.count()}"))
    made = make.make_label(response, "correct", labeler=person, active_seconds=seconds, **facts)
    Label.objects.filter(pk=made.pk).update(created_at=make.NOW + timedelta(days=day))
    return made


class TestPace:
    def test_of_nothing_is_empty(self) -> None:
        assert pace().stretches == ()

    @pytest.mark.slow
    def test_counts_labels_people_and_active_time_by_days(self) -> None:
        label(0, seconds=10.0)
        label(0, seconds=500.0)  # somebody went away: counted as 120 s
        label(0, seconds=None)
        label(3, seconds=None)
        first, later = make.NOW, make.NOW + timedelta(days=3)
        assert pace().day_count == 1
        assert pace().stretches == (Stretch(first, first, 3, 3, 2, 130.0), Stretch(later, later, 1, 1, 0, 0.0))
        assert pace().stretches[0].labels_per_hour == pytest.approx(3600 * 2 / 130)
        assert pace().stretches[1].labels_per_hour is None

    @pytest.mark.slow
    def test_leaves_out_what_does_not_count(self) -> None:
        label(0, seconds=4.0)
        label(0, seconds=4.0, kind="adjudication")
        voided = label(0, seconds=4.0)
        Label.objects.filter(pk=voided.pk).update(is_current=False)
        assert [one.label_count for one in pace().stretches] == [1]

    def test_takes_longer_stretches_where_there_are_many_days(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for day in (0, 1, 7, 100):
            label(day, seconds=4.0)
        # whether anything changed, of the figure and of the labels; which answers did; the labels; whether it is kept,
        # and keeping it
        with django_assert_num_queries(6):
            found = pace()
        assert found.day_count == 7
        assert [one.label_count for one in found.stretches] == [2, 1, 1]
