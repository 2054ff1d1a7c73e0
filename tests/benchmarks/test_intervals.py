import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.intervals import Interval, mean_interval, share_interval

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


class TestMeanInterval:
    def test_of_no_value_is_unknown(self) -> None:
        assert mean_interval([]) is None

    def test_of_one_value_is_that_value(self) -> None:
        assert mean_interval([4.5]) == Interval(4.5, 4.5, 4.5, 1)

    def test_of_equal_values_has_no_width(self) -> None:
        assert mean_interval([2.0] * 7) == Interval(2.0, 2.0, 2.0, 7)

    def test_is_the_same_each_time(self) -> None:
        values = list(np.random.default_rng(3).exponential(size=30))

        assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
        assert mean_interval(values, seed=1) != mean_interval(values, seed=2)

    def test_of_many_values_is_what_the_normal_distribution_gives(self) -> None:
        values = list(np.random.default_rng(7).normal(10, 2, size=400))

        interval = known(mean_interval(values))

        error = float(np.std(values) / np.sqrt(400))
        assert interval.value == pytest.approx(float(np.mean(values)))
        assert interval.low == pytest.approx(interval.value - 1.96 * error, abs=0.25 * error)
        assert interval.high == pytest.approx(interval.value + 1.96 * error, abs=0.25 * error)

    @pytest.mark.slow
    @given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12))
    def test_stays_within_the_values(self, values: list[float]) -> None:
        interval = known(mean_interval(values))

        slack = 1e-9 * max(1.0, *map(abs, values))
        assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack

    @pytest.mark.slow
    def test_goes_from_bootstrap_to_normal_without_a_jump(self) -> None:
        values = np.random.default_rng(1).normal(10, 2, size=5001).tolist()
        small, large = known(mean_interval(values[:5000])), known(mean_interval(values))
        assert large.n == 5001
        assert (large.low, large.high) == pytest.approx((small.low, small.high), abs=0.005)
