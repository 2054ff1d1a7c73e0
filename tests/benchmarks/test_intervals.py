import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.intervals import (
    Interval,
    mean_interval,
    mean_interval_of_sums,
    mean_share_interval,
    share_interval,
    t_quantile_975,
)

# Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I,
# method 3 (score without continuity correction).
PUBLISHED = {
    "81 of 263": (81, 263, 0.2553, 0.3662),
    "15 of 148": (15, 148, 0.0624, 0.1605),
    "none of 20": (0, 20, 0.0000, 0.1611),
    "1 of 29": (1, 29, 0.0061, 0.1718),
}


def known(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


class TestShareInterval:
    @pytest.mark.parametrize(("successes", "n", "low", "high"), PUBLISHED.values(), ids=PUBLISHED)
    def test_is_the_published_one(self, successes: int, n: int, low: float, high: float) -> None:
        interval = known(share_interval(successes, n))

        assert (interval.value, interval.n) == (successes / n, n)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.00005)

    def test_of_nothing_is_unknown(self) -> None:
        assert share_interval(0, 0) is None

    @pytest.mark.parametrize("n", [1, 2, 10, 12, 1000, 10**9])
    def test_touches_the_edge_it_lies_on(self, n: int) -> None:
        none, all_of_them = known(share_interval(0, n)), known(share_interval(n, n))

        assert (none.low, all_of_them.high) == (0, 1)
        assert none.high == pytest.approx(1 - all_of_them.low)
        assert 0 < none.high < 1

    def test_of_one_single_success_is_wide(self) -> None:
        # n / (n + z^2) with z = 1.959964 is where the interval of n out of n begins
        assert known(share_interval(1, 1)).low == pytest.approx(1 / (1 + 1.959964**2), abs=1e-6)

    @pytest.mark.slow
    @given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_holds_the_share_and_stays_between_0_and_1(self, counted: tuple[int, int]) -> None:
        interval = known(share_interval(*counted))

        assert 0 <= interval.low <= interval.value <= interval.high <= 1


# additional hours of sleep of ten patients, from Student, The probable error of a mean, Biometrika 6 (1908)
HOURS_OF_SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


class TestMeanInterval:
    def test_of_no_value_is_unknown(self) -> None:
        assert mean_interval([]) is None

    def test_of_one_value_is_that_value(self) -> None:
        assert mean_interval([4.5]) == Interval(4.5, 4.5, 4.5, 1)

    def test_of_equal_values_has_no_width(self) -> None:
        assert mean_interval([2.0] * 7) == Interval(2.0, 2.0, 2.0, 7)

    def test_of_students_own_example_is_the_published_one(self) -> None:
        """The interval is that in the documentation of R's `t.test`: 0.7001142 to 2.4598858."""
        interval = known(mean_interval(HOURS_OF_SLEEP))

        assert (interval.value, interval.n) == (pytest.approx(1.58), 10)
        assert (interval.low, interval.high) == pytest.approx((0.7001142, 2.4598858), abs=2e-5)

    def test_of_two_values_is_as_wide_as_so_few_ask(self) -> None:
        """Of 1 and 3: a standard error of 1, and a t of 12.7062 for one degree of freedom."""
        interval = known(mean_interval([1.0, 3.0]))

        assert (interval.low, interval.high) == pytest.approx((2 - 12.7062, 2 + 12.7062))

    def test_of_many_values_is_what_the_normal_distribution_gives(self) -> None:
        """Of 10,000 times 0 and 2: a mean of 1, a deviation of 1, and 1.96 / sqrt(20,000) to either side."""
        interval = known(mean_interval([0.0, 2.0] * 10_000))

        assert interval.high - interval.value == pytest.approx(0.0138593, abs=2e-6)

    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
    def test_lies_around_the_mean(self, values: list[float]) -> None:
        interval = known(mean_interval(values))

        assert interval.low <= interval.value <= interval.high
        assert interval.value - interval.low == pytest.approx(interval.high - interval.value, rel=1e-6, abs=1e-6)


class TestMeanIntervalOfSums:
    def test_is_that_of_the_values(self) -> None:
        squared_deviations = sum((one - 1.58) ** 2 for one in HOURS_OF_SLEEP)
        interval = known(mean_interval_of_sums(10, sum(HOURS_OF_SLEEP), squared_deviations))

        assert (interval.value, interval.low, interval.high) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=2e-5)

    def test_knows_no_spread_of_one_and_nothing_of_none(self) -> None:
        assert mean_interval_of_sums(0, 0.0, 0.0) is None
        assert mean_interval_of_sums(1, 3.0, 0.0) == Interval(3.0, 3.0, 3.0, 1)


class TestMeanShareInterval:
    def test_is_no_more_than_certain(self) -> None:
        """Of 0.9 and 1: a standard error of 0.05, and 12.7 times that on either side."""
        assert mean_share_interval([0.9, 1.0]) == Interval(0.95, pytest.approx(0.95 - 12.7062 * 0.05), 1.0, 2)

    def test_of_nothing_is_unknown(self) -> None:
        assert mean_share_interval([]) is None


class TestTQuantile:
    @pytest.mark.parametrize(
        ("freedom", "quantile"), [(1, 12.706), (4, 2.776), (30, 2.042), (40, 2.021), (60, 2.000), (120, 1.980)]
    )
    def test_is_that_of_printed_tables(self, freedom: int, quantile: float) -> None:
        assert t_quantile_975(freedom) == pytest.approx(quantile, abs=6e-4)

    def test_needs_a_degree_of_freedom(self) -> None:
        with pytest.raises(ValueError, match="0 degrees"):
            t_quantile_975(0)
