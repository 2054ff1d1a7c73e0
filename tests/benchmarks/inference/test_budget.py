import httpx
import pytest

from benchmarks.inference.budget import BudgetedTransport, TimeBudget


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_ns = 1_000

    def __call__(self) -> int:
        return self.now_ns

    def go_on(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1_000_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> TimeBudget:
    return TimeBudget(first_token_s=2.0, total_s=10.0, clock_ns=clock)


class TestTimeBudget:
    def test_waits_first_for_the_first_token(self, budget: TimeBudget, clock: Clock) -> None:
        clock.go_on(0.5)

        assert budget.waits_for_first_token
        assert budget.remaining_s() == pytest.approx(1.5)

    def test_gives_the_rest_of_the_whole_after_the_first_token(self, budget: TimeBudget, clock: Clock) -> None:
        clock.go_on(0.5)
        budget.note_token()

        assert not budget.waits_for_first_token
        assert budget.remaining_s() == pytest.approx(9.5)

    def test_keeps_the_time_of_the_first_token(self, budget: TimeBudget, clock: Clock) -> None:
        clock.go_on(0.5)
        budget.note_token()
        clock.go_on(1.0)
        budget.note_token()

        assert budget.time_to_first_token_ns == 500_000_000

    def test_knows_no_first_token_before_it_came(self, budget: TimeBudget) -> None:
        assert budget.time_to_first_token_ns is None

    def test_counts_the_whole_where_it_ends_sooner(self, clock: Clock) -> None:
        budget = TimeBudget(first_token_s=60.0, total_s=1.0, clock_ns=clock)

        assert not budget.waits_for_first_token
        assert budget.remaining_s() == pytest.approx(1.0)

    def test_goes_below_zero(self, budget: TimeBudget, clock: Clock) -> None:
        clock.go_on(3.0)

        assert budget.remaining_s() == pytest.approx(-1.0)


class TestBudgetedTransport:
    def test_sends_nothing_once_the_budget_is_used_up(
        self, budget: TimeBudget, clock: Clock, silent_server: str
    ) -> None:
        clock.go_on(11.0)

        with httpx.Client(transport=BudgetedTransport(budget)) as client, pytest.raises(httpx.WriteTimeout):
            client.get(silent_server)

    def test_reads_no_longer_than_the_budget(self, silent_server: str) -> None:
        budget = TimeBudget(first_token_s=0.05, total_s=0.05, clock_ns=Clock())

        with httpx.Client(transport=BudgetedTransport(budget)) as client, pytest.raises(httpx.ReadTimeout):
            client.get(silent_server)

    def test_raises_the_errors_of_httpx(self, budget: TimeBudget, closed_port: str) -> None:
        with httpx.Client(transport=BudgetedTransport(budget)) as client, pytest.raises(httpx.ConnectError):
            client.get(closed_port)
