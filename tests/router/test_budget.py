"""The price of carbon in an hour with a budget."""

import pytest

from router.budget import GAIN, HourSpent, after_request, is_plausible


def price_after(count: int, *, sci_gco2e: float, limit: float = 10.0, hour_share: float = 1.0) -> float:
    """Return the price after requests that come evenly in a share of the hour."""
    hour = HourSpent(limit)
    for number in range(1, count + 1):
        hour = after_request(hour, sci_gco2e=sci_gco2e, elapsed_share=number / count * hour_share)
    return hour.price


class TestAfterRequest:
    def test_adds_up_what_was_spent(self) -> None:
        hour = after_request(HourSpent(10.0, spent_gco2e=3.0, request_count=2), sci_gco2e=1.5, elapsed_share=0.5)
        assert (hour.spent_gco2e, hour.request_count, hour.limit_gco2e) == (4.5, 3, 10.0)

    def test_raises_the_price_by_how_far_spending_is_ahead(self) -> None:
        hour = after_request(HourSpent(10.0), sci_gco2e=6.0, elapsed_share=0.5)
        assert hour.price == pytest.approx(GAIN / 6.0 * 0.1)
        later = after_request(hour, sci_gco2e=3.0, elapsed_share=0.7)
        assert later.price == pytest.approx(GAIN / 6.0 * 0.2)

    def test_asks_no_price_while_spending_keeps_within_the_pace(self) -> None:
        assert price_after(50, sci_gco2e=0.1) == 0

    def test_asks_more_the_faster_it_is_spent(self) -> None:
        slow, fast = price_after(10, sci_gco2e=1.0, hour_share=0.8), price_after(10, sci_gco2e=1.0, hour_share=0.2)
        assert 0 < slow < fast

    def test_lowers_the_price_again_when_spending_lags(self) -> None:
        hour = HourSpent(10.0, spent_gco2e=2.0, price=0.5, request_count=4, dearest_gco2e=0.5)
        assert after_request(hour, sci_gco2e=0.01, elapsed_share=0.9).price < 0.5

    def test_keeps_a_varied_hour_within_its_budget(self) -> None:
        """The dear model is worth 0.2 more probability at ten times the SCI; the price makes it give way in time."""
        hour, chosen = HourSpent(10.0), []
        for number in range(100):
            is_worth_it = 0.9 - hour.price * 1.0 > 0.7 - hour.price * 0.05
            sci = 1.0 if is_worth_it and not hour.is_spent else 0.05
            chosen.append(sci)
            hour = after_request(hour, sci_gco2e=sci, elapsed_share=(number + 1) / 100)
        assert hour.spent_gco2e <= 1.15 * 10.0
        assert {1.0, 0.05} == set(chosen)

    def test_counts_a_further_run_to_the_same_request(self) -> None:
        first = after_request(HourSpent(10.0), sci_gco2e=2.0, elapsed_share=0.5)
        both = after_request(first, sci_gco2e=1.0, elapsed_share=0.5, is_further_run=True)
        assert (both.spent_gco2e, both.request_count, both.dearest_gco2e) == (3.0, 1, 2.0)


class TestHourSpent:
    def test_is_spent_at_its_limit(self) -> None:
        assert HourSpent(1.0, spent_gco2e=1.0).is_spent
        assert not HourSpent(1.0, spent_gco2e=0.99).is_spent

    def test_says_how_it_stands(self) -> None:
        assert HourSpent(2.0, spent_gco2e=2.5).words == (
            "The key's carbon budget is spent, so the cheapest plausible model answers: 2.5 of 2 gCO2e this hour."
        )


class TestPlausible:
    @pytest.mark.parametrize(
        ("p", "best", "expected"), [(0.4, 0.8, True), (0.39, 0.8, False), (None, 0.8, True), (0.1, None, True)]
    )
    def test_is_half_as_probable_as_the_best(self, p: float | None, best: float | None, expected: bool) -> None:
        assert is_plausible(p, best) is expected
