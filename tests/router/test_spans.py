from datetime import UTC, datetime

import pytest

from router.budget import NO_LIMIT, HourSpent, after_request
from router.spans import BudgetClosed, Span, next_day, next_month, require_open

NOW = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC)


def span(spent: float, *, soft: float | None = 5.0, hard: float | None = 10.0, name: str = "day") -> Span:
    return Span(name, soft, hard, spent, next_day(NOW) if name == "day" else next_month(NOW))


class TestSpan:
    @pytest.mark.parametrize(
        ("spent", "is_soft_passed", "is_closed"), [(4.9, False, False), (5.0, True, False), (10.0, True, True)]
    )
    def test_passes_its_limits(self, spent: float, is_soft_passed: bool, is_closed: bool) -> None:
        assert (span(spent).is_soft_passed, span(spent).is_closed) == (is_soft_passed, is_closed)

    def test_without_limits_passes_none(self) -> None:
        assert not span(1e9, soft=None).is_soft_passed
        assert not span(1e9, hard=None).is_closed

    def test_is_told_in_a_header(self) -> None:
        assert span(1.25).header == "1.25/10 gCO2e"
        assert span(6).header == "6/10 gCO2e; soft limit of 5 passed"
        assert span(6, hard=None).header == "6/5 gCO2e; soft limit of 5 passed"
        assert span(11).header == "11/10 gCO2e; closed until 2027-01-01T00:00:00Z"


class TestRequireOpen:
    def test_lets_pass_what_is_open(self) -> None:
        require_open((span(9.9), span(6, name="month")), NOW)

    def test_tells_when_it_opens_again(self) -> None:
        with pytest.raises(BudgetClosed, match="opens again at 2027-01-01T00:00:00Z") as closed:
            require_open((span(10),), NOW)
        assert closed.value.retry_after_s == 30

    def test_tells_the_one_that_stays_closed_longest(self) -> None:
        now = datetime(2026, 12, 5, tzinfo=UTC)
        day = Span("day", None, 1.0, 2.0, next_day(now))
        month = Span("month", None, 1.0, 2.0, next_month(now))
        with pytest.raises(BudgetClosed) as closed:
            require_open((day, month), now)
        assert closed.value.span is month


class TestNext:
    def test_begins_at_midnight(self) -> None:
        assert next_day(NOW) == next_month(NOW) == datetime(2027, 1, 1, tzinfo=UTC)
        assert next_month(datetime(2028, 1, 31, 5, tzinfo=UTC)) == datetime(2028, 2, 1, tzinfo=UTC)


class TestWithoutAnHour:
    def test_asks_no_price_and_tells_no_limit(self) -> None:
        after = after_request(HourSpent(NO_LIMIT, spans=(span(6),)), sci_gco2e=3.0, elapsed_share=0.5)
        assert (after.price, after.is_spent, after.is_cheapest_wanted) == (0.0, False, True)
        told = after.as_json()
        assert (told["limit_gco2e_per_hour"], told["spent_gco2e"]) == (None, None)
        assert after.headers == {"X-GreenLLM-Budget-Day": "6/10 gCO2e; soft limit of 5 passed"}
        assert "soft limit of the day is passed" in after.words

    def test_keeps_its_spans_through_an_hour(self) -> None:
        after = after_request(HourSpent(5.0, spans=(span(6),)), sci_gco2e=3.0, elapsed_share=0.5)
        assert after.spans == (span(6),)
        assert set(after.headers) == {"X-GreenLLM-Budget", "X-GreenLLM-Budget-Day"}
