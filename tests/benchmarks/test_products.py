import numpy as np
import pytest
from scipy import stats

from benchmarks.products import Products, pairs_of

ANSWERS = [(2.0, 1.0, 10.0), (4.0, 1.5, 30.0), (3.0, 0.5, 10.0), (9.0, 2.0, 50.0)]


class TestProducts:
    def test_add_up_to_those_of_all_answers(self) -> None:
        one, other = Products.of(ANSWERS[:1], width=3), Products.of(ANSWERS[1:], width=3)
        assert one + other == Products.of(ANSWERS, width=3)

    def test_have_every_pair_of_figures(self) -> None:
        assert pairs_of(3) == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
        assert Products.of(ANSWERS, width=3).products[1] == 2 * 1 + 4 * 1.5 + 3 * 0.5 + 9 * 2

    def test_of_no_answer_have_no_figure(self) -> None:
        none = Products.of([], width=2)
        assert (none.total((1, 0)), none.mean((1, 0)), none.ratio((1, 0), (0, 1))) == (None, None, None)


class TestMean:
    def test_is_that_of_the_weighted_sums_with_students_interval(self) -> None:
        values = np.array([0.5 * a + 3 * b for a, b, _ in ANSWERS])
        low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
        found = Products.of(ANSWERS, width=3).mean((0.5, 3, 0))
        assert found is not None
        assert (found.value, found.n) == (pytest.approx(values.mean()), 4)
        half = (high - low) / 2  # quantiles are kept to four digits after the point
        assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=5e-5)

    def test_of_one_answer_is_its_value(self) -> None:
        found = Products.of(ANSWERS[:1], width=3).mean((1, 0, 0))
        assert found is not None
        assert (found.value, found.low, found.high, found.n) == (2, 2, 2, 1)

    def test_of_like_answers_has_no_width_by_rounding(self) -> None:
        found = Products.of([(0.1815,)] * 47, width=1).mean((1,))
        assert found is not None
        assert found.high == found.low == found.value


class TestRatio:
    def test_is_a_sum_by_a_sum(self) -> None:
        found = Products.of(ANSWERS, width=3).ratio((1, 0, 0), (0, 0, 1), per=1000)
        assert found is not None
        assert found.value == pytest.approx(1000 * 18 / 100)

    def test_has_the_interval_of_what_it_leaves_unexplained(self) -> None:
        left = np.array([a - 0.18 * c for a, _, c in ANSWERS])
        half = stats.t.ppf(0.975, 3) * left.std(ddof=1) / np.sqrt(4) / 25
        found = Products.of(ANSWERS, width=3).ratio((1, 0, 0), (0, 0, 1))
        assert found is not None
        assert found.high - found.value == pytest.approx(half, rel=1e-4)

    def test_needs_something_to_divide_by(self) -> None:
        assert Products.of([(1.0, 0.0)], width=2).ratio((1, 0), (0, 1)) is None
