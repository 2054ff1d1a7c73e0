import math

import pytest
from scipy.stats import kendalltau

from benchmarks.rank_agreement import kendall_tau, ranks

ONE = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
CASES = {
    "one pair turned": (ONE, [2.0, 1.0, 3.0, 4.0, 5.0, 6.0]),
    "ties on one side": (ONE, [1.0, 1.0, 2.0, 3.0, 3.0, 0.5]),
    "ties on both": ([1.0, 1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 1.0, 4.0, 4.0]),
}


class TestKendallTau:
    @pytest.mark.parametrize("name", CASES)
    def test_is_what_scipy_finds(self, name: str) -> None:
        one, other = CASES[name]
        found = kendall_tau(one, other)
        assert found is not None
        assert found.value == pytest.approx(kendalltau(one, other).statistic)
        assert found.n == len(one)

    def test_has_fiellers_interval(self) -> None:
        found = kendall_tau(*CASES["one pair turned"])
        assert found is not None
        half = 1.959964 * math.sqrt(0.437 / 2)
        ends = [math.tanh(math.atanh(found.value) + sign * half) for sign in (-1, 1)]
        assert [found.low, found.high] == pytest.approx(ends, rel=1e-6)

    @pytest.mark.parametrize(("one", "other"), [(ONE, ONE), (ONE, ONE[::-1]), (ONE[:4], [2.0, 1.0, 3.0, 4.0])])
    def test_knows_no_interval_at_the_ends_or_of_few(self, one: list[float], other: list[float]) -> None:
        found = kendall_tau(one, other)
        assert found is not None
        assert (found.low, found.high) == (None, None)

    @pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0]])
    def test_is_none_where_nothing_is_ordered(self, values: list[float]) -> None:
        assert kendall_tau(values, values) is None

    def test_refuses_lists_of_unlike_length(self) -> None:
        with pytest.raises(ValueError, match="2 values do not fit 1"):
            kendall_tau([1.0, 2.0], [1.0])


class TestRanks:
    def test_share_the_better_place(self) -> None:
        assert ranks([3.0, 1.0, 3.0, 2.0]) == [3, 1, 3, 2]
        assert ranks([3.0, 1.0, 3.0, 2.0], largest_first=True) == [1, 4, 1, 3]
