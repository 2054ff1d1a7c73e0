"""What a key with a budget spends in a day and a month."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from benchmarks.models import Deployment
from router.allowances import count_month_anew
from router.key_terms import WantedTerms, set_terms
from router.key_use import days_of_use, spent_by_key
from router.keys import create_key
from router.looking_up import use_of_key
from router.models import ApiKey, GatewayRequest, KeyDay, RoutingDecision
from router.spans import BudgetClosed
from router.spending import book, hour_of, settle_hour
from tests import factories as make

pytestmark = pytest.mark.django_db
NOW = make.NOW.replace(day=15)


def make_key(**limits: Any) -> ApiKey:
    return create_key(owner_id=make.make_user().pk, name="test", **limits).key


def make_request(key: ApiKey, chosen: Deployment, *, days_ago: int, gco2e: float | None) -> None:
    at = NOW - timedelta(days=days_ago)
    request = GatewayRequest.objects.create(
        public_id=f"req_{days_ago}_{gco2e}", surface="openai", api_key=key, requested_model="auto", started_at=at
    )
    RoutingDecision.objects.create(
        request=request, chosen=chosen, decided_at=at, predicted_sci_gco2e=gco2e, policy="nearest",
        reason="pinned",
    )  # fmt: skip


class TestBook:
    def test_adds_to_the_day_and_the_month(self) -> None:
        key = make_key(soft_gco2e_per_day=2.0, hard_gco2e_per_month=10.0)
        book(api_key_id=key.pk, sci_gco2e=3.0, now=NOW - timedelta(days=1))
        book(api_key_id=key.pk, sci_gco2e=1.0, now=NOW)
        after = book(api_key_id=key.pk, sci_gco2e=1.5, now=NOW)
        assert after is not None
        day, month = after.spans
        assert (day.spent_gco2e, day.is_soft_passed, month.spent_gco2e) == (2.5, True, 5.5)
        assert KeyDay.objects.count() == 2

    def test_begins_anew_with_the_next_month(self) -> None:
        key = make_key(hard_gco2e_per_month=1.0)
        book(api_key_id=key.pk, sci_gco2e=3.0, now=NOW)
        later = hour_of(api_key_id=key.pk, now=NOW + timedelta(days=31))
        assert later is not None
        assert later.spans[0].spent_gco2e == 0

    def test_counts_beside_the_hour(self) -> None:
        key = make_key(hard_gco2e_per_day=10.0, budget_gco2e_per_hour=1.0)
        after = book(api_key_id=key.pk, sci_gco2e=3.0, now=NOW)
        assert after is not None
        assert (after.is_spent, after.spans[0].spent_gco2e) == (True, 3.0)

    def test_costs_a_fixed_number_of_queries(self, django_assert_num_queries: Any) -> None:
        key = make_key(hard_gco2e_per_day=10.0)
        book(api_key_id=key.pk, sci_gco2e=3.0, now=NOW)
        with django_assert_num_queries(3):
            book(api_key_id=key.pk, sci_gco2e=3.0, now=NOW)
        with django_assert_num_queries(2):
            hour_of(api_key_id=key.pk, now=NOW)


class TestSettle:
    @pytest.mark.parametrize(("difference", "spent"), [(0.5, 3.5), (-1.0, 2.0), (-9.0, 0.0)])
    def test_corrects_the_day_and_never_below_nothing(self, difference: float, spent: float) -> None:
        key = make_key(hard_gco2e_per_month=10.0)
        book(api_key_id=key.pk, sci_gco2e=3.0, now=NOW)
        settle_hour(api_key_id=key.pk, began_at=NOW.replace(minute=0), difference_gco2e=difference)
        assert (KeyDay.objects.get().spent_gco2e, KeyDay.objects.get().request_count) == (spent, 1)

    def test_of_a_further_run_counts_no_request(self) -> None:
        key = make_key(hard_gco2e_per_month=10.0)
        for is_further_run in (False, True):
            after = book(api_key_id=key.pk, sci_gco2e=3.0, now=NOW, is_further_run=is_further_run)
        assert after is not None
        assert (after.spans[0].spent_gco2e, after.booked_gco2e) == (6.0, 3.0)
        assert KeyDay.objects.get().request_count == 1


class TestHardLimit:
    def test_closes_until_midnight(self) -> None:
        key = make_key(hard_gco2e_per_day=2.0)
        book(api_key_id=key.pk, sci_gco2e=2.0, now=NOW)
        with pytest.raises(BudgetClosed, match="budget of the day is spent") as closed:
            hour_of(api_key_id=key.pk, now=NOW)
        reopened = NOW + timedelta(seconds=closed.value.retry_after_s)
        assert hour_of(api_key_id=key.pk, now=reopened) is not None

    @pytest.mark.parametrize("span", ["day", "month"])
    def test_is_never_below_the_soft_one(self, span: str) -> None:
        with pytest.raises(IntegrityError, match=f"api_key_{span}_soft_below_hard"):
            make_key(**{f"soft_gco2e_per_{span}": 2.0, f"hard_gco2e_per_{span}": 1.0})


class TestCountMonthAnew:
    def test_counts_what_the_requests_of_this_month_were_expected_to_cost(self) -> None:
        key, chosen = make_key(), make.make_deployment()
        for days_ago, gco2e in ((0, 1.0), (0, 2.0), (3, 4.0), (3, None), (30, 8.0)):
            make_request(key, chosen, days_ago=days_ago, gco2e=gco2e)
        count_month_anew(key=key, now=NOW)
        rows = KeyDay.objects.order_by("day").values_list("day", "spent_gco2e", "request_count")
        assert list(rows) == [((NOW - timedelta(days=3)).date(), 4.0, 2), (NOW.date(), 3.0, 2)]

    def test_counts_the_runs_that_a_cascade_discarded(self) -> None:
        key = make_key()
        make_request(key, make.make_deployment(), days_ago=0, gco2e=1.0)
        RoutingDecision.objects.update(discarded_sci_gco2e=0.5)
        count_month_anew(key=key, now=NOW)
        assert KeyDay.objects.get().spent_gco2e == 1.5
        [day] = days_of_use(key=key, since=NOW - timedelta(days=1))
        assert (day.gco2e, day.asked_gco2e, day.background_gco2e) == (1.5, 1.5, None)
        assert spent_by_key(keys=[key], since=NOW - timedelta(days=1)) == {key.pk: 1.5}
        asked, _, _ = use_of_key(key=key, since=NOW - timedelta(days=1))
        assert asked.predicted_gco2e == 1.5

    def test_happens_when_a_key_gets_its_first_budget_and_not_again(self) -> None:
        key = make_key()
        make_request(key, make.make_deployment(), days_ago=0, gco2e=1.0)
        set_terms(key=key, terms=WantedTerms([], [], hard_gco2e_per_day=5.0), now=NOW)
        book(api_key_id=key.pk, sci_gco2e=2.0, now=NOW)
        set_terms(key=key, terms=WantedTerms([], [], hard_gco2e_per_month=50.0), now=NOW)
        assert KeyDay.objects.get().spent_gco2e == 3.0
        key.refresh_from_db()
        assert (key.hard_gco2e_per_day, key.hard_gco2e_per_month) == (None, 50.0)
