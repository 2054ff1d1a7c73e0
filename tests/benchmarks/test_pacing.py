from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Deployment, ResponseAttempt, Study
from benchmarks.pacing import Pace, paces_of, recent_pace
from tests.factories import NOW, make_deployment, make_prompt, make_response, make_study

pytestmark = pytest.mark.django_db


def attempt(study: Study, deployment: Deployment, *seconds: float, outcome: str = "finished") -> None:
    """Make a response with one attempt for each of the durations."""
    for duration_s in seconds:
        response = make_response(make_prompt(), deployment, study=study)
        ended_at = NOW + timedelta(seconds=duration_s)
        ResponseAttempt.objects.create(
            response=response, number=1, outcome=outcome, started_at=NOW, ended_at=ended_at, error="x"
        )


class TestPacesOf:
    @pytest.mark.slow
    def test_are_medians_over_every_study(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        small, large, new = make_deployment("small"), make_deployment("large"), make_deployment("new")
        attempt(make_study(), small, 1.0, 9.0)
        attempt(make_study(), small, 2.0)
        attempt(make_study(), large, 4.0, 6.0)
        with django_assert_num_queries(1):
            paces = paces_of(deployment_ids=[small.pk, large.pk, new.pk])
        assert paces == {small.pk: Pace(2.0, 3), large.pk: Pace(5.0, 2)}

    def test_of_nothing_are_none(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        with django_assert_num_queries(0):
            assert paces_of(deployment_ids=[]) == {}

    def test_leave_out_attempts_that_failed(self) -> None:
        deployment = make_deployment()
        attempt(make_study(), deployment, 1.0, outcome="failed")
        assert paces_of(deployment_ids=[deployment.pk]) == {}


class TestRecentPace:
    def test_is_unknown_before_the_first_response(self) -> None:
        assert recent_pace(study=make_study()) is None

    @pytest.mark.slow
    def test_is_of_this_study_and_follows_its_latest_responses(self) -> None:
        study, deployment = make_study(), make_deployment()
        attempt(make_study(), deployment, 100.0)
        attempt(study, deployment, *[1.0] * 40, *[3.0] * 30)  # those that ended latest took 3 s
        assert recent_pace(study=study) == Pace(3.0, 30)
