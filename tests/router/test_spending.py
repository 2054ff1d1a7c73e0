"""What a key with a budget spends in an hour."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError

from router.budget import HourSpent
from router.keys import create_key
from router.models import ApiKey, KeyHour
from router.policy import Candidate, Choice, Evidence, PlannedRun
from router.spending import book, hour_of, spend_least, usual_sci
from tests import factories as make

pytestmark = pytest.mark.django_db


def make_key(budget: float | None = 10.0) -> ApiKey:
    key = create_key(owner_id=make.make_user().pk, name="test").key
    key.budget_gco2e_per_hour = budget
    key.save()
    return key


class TestHourOf:
    def test_of_a_key_without_a_budget_or_of_no_key_is_none(self) -> None:
        assert hour_of(api_key_id=make_key(None).pk, now=make.NOW) is None
        assert hour_of(api_key_id=None, now=make.NOW) is None

    def test_begins_with_nothing_spent(self) -> None:
        hour = hour_of(api_key_id=make_key().pk, now=make.NOW)
        assert hour is not None
        assert (hour.limit_gco2e, hour.spent_gco2e, hour.is_spent) == (10.0, 0.0, False)


class TestBook:
    def test_keeps_what_was_spent_in_the_hour(self) -> None:
        key = make_key()
        book(api_key_id=key.pk, sci_gco2e=3.0, now=make.NOW)
        after = book(api_key_id=key.pk, sci_gco2e=8.0, now=make.NOW + timedelta(minutes=1))
        assert after == hour_of(api_key_id=key.pk, now=make.NOW + timedelta(minutes=2))
        assert after is not None
        assert (after.spent_gco2e, after.request_count, after.is_spent) == (11.0, 2, True)
        assert after.price > 0

    def test_begins_anew_with_the_next_hour(self) -> None:
        key = make_key()
        book(api_key_id=key.pk, sci_gco2e=11.0, now=make.NOW)
        later = hour_of(api_key_id=key.pk, now=make.NOW + timedelta(hours=1))
        assert later is not None
        assert later.spent_gco2e == 0
        assert KeyHour.objects.count() == 1

    def test_of_a_key_without_a_budget_keeps_nothing(self) -> None:
        assert book(api_key_id=make_key(None).pk, sci_gco2e=3.0, now=make.NOW) is None
        assert not KeyHour.objects.exists()


class TestBudget:
    def test_must_be_above_zero(self) -> None:
        with pytest.raises(IntegrityError, match="api_key_budget_positive"):
            make_key(0.0)


class TestUsualSci:
    def test_is_the_mean_of_the_measured_answers(self) -> None:
        deployment = make.make_deployment()
        assert usual_sci(deployment=deployment) == 0
        first = make.make_response(make.make_prompt(), deployment).measurement
        make.make_response(make.make_prompt(), deployment, energy_j=None)
        assert first is not None
        assert usual_sci(deployment=deployment) == pytest.approx(first.sci_gco2e)


def evidence(key: int, sci: float | None, *, p: float | None = None, **facts: object) -> Evidence:
    values = {"quality": "measured", "is_correct": None, "response_count": 1, **facts}
    return Evidence(deployment_id=key, model=f"model-{key}", sci_gco2e=sci, p=p, **values)


def chosen_of(*candidates: Evidence, chosen: int = 0) -> Choice:
    made = tuple(Candidate(one, number == chosen, "as it was") for number, one in enumerate(candidates))
    return Choice(candidates[chosen], "dial", "It is the best.", made)


class TestSpendLeast:
    SPENT = HourSpent(1.0, spent_gco2e=2.0)

    def test_takes_the_cheapest_that_is_plausible(self) -> None:
        choice = chosen_of(evidence(1, 0.9, p=0.9), evidence(2, 0.01, p=0.4), evidence(3, 0.1, p=0.5))
        found = spend_least(choice, self.SPENT)
        assert (found.chosen.deployment_id, found.reason) == (3, "budget")
        assert found.explanation.startswith("The key's carbon budget is spent")
        assert [one.is_chosen for one in found.candidates] == [False, False, True]
        assert found.candidates[0].reason == "It would be chosen if the budget were not spent."

    def test_says_so_where_the_cheapest_was_chosen_anyhow(self) -> None:
        found = spend_least(chosen_of(evidence(1, 0.1, p=0.9), evidence(2, 0.2, p=0.9)), self.SPENT)
        assert (found.chosen.deployment_id, found.reason) == (1, "dial")
        assert found.explanation.startswith("The key's carbon budget is spent")

    def test_lets_it_answer_alone_where_a_cascade_would_ask_it_first(self) -> None:
        choice = chosen_of(evidence(1, 0.1, p=0.9), evidence(2, 0.2, p=0.9))
        found = spend_least(replace(choice, plan=(PlannedRun(1, "agreement"), PlannedRun(2))), self.SPENT)
        assert (found.chosen.deployment_id, found.reason, found.plan) == (1, "budget", ())
        assert found.candidates[0].reason == "The budget is spent; it is the cheapest plausible model."

    def test_ranks_energies_of_one_quality_alone(self) -> None:
        choice = chosen_of(evidence(1, 0.9, p=0.9), evidence(2, 0.1, p=0.9, quality="estimated"))
        assert spend_least(choice, self.SPENT).chosen.deployment_id == 1

    def test_leaves_out_what_was_wrong_on_the_nearest_prompt(self) -> None:
        choice = chosen_of(
            evidence(1, 0.9, is_correct=True), evidence(2, 0.1, is_correct=False), evidence(3, 0.5, is_correct=True)
        )
        assert spend_least(choice, self.SPENT).chosen.deployment_id == 3

    def test_of_nothing_measured_stays_and_says_so(self) -> None:
        found = spend_least(chosen_of(evidence(1, None), evidence(2, None)), self.SPENT)
        assert found.chosen.deployment_id == 1
        assert "is spent" in found.explanation
