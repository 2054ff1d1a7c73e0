import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.spread import cell_spread_of, drift_of, mean_without, outliers_of, spread_of


class TestSpreadOf:
    def test_of_five_values_is_that_of_a_textbook(self) -> None:
        """Mean 12, deviation sqrt(2.5) = 1.5811, t for 4 degrees 2.7764: half 2.7764 * 1.5811 / sqrt(5) = 1.9632."""
        spread = spread_of([10, 11, 12, 13, 14])

        assert spread is not None
        assert (spread.n, spread.mean, spread.median, spread.outliers) == (5, 12, 12, ())
        assert spread.variation == pytest.approx(0.13176, abs=1e-5)
        assert (spread.low, spread.high) == (pytest.approx(10.0368, abs=1e-4), pytest.approx(13.9632, abs=1e-4))

    def test_of_one_value_is_not_known(self) -> None:
        spread = spread_of([7.0])

        assert spread is not None
        assert (spread.n, spread.mean, spread.variation, spread.low, spread.high) == (1, 7.0, None, None, None)

    def test_of_nothing_is_none(self) -> None:
        assert spread_of([]) is None

    def test_keeps_an_outlier_in_the_mean_and_marks_it(self) -> None:
        spread = spread_of([10, 10.2, 9.9, 10.1, 30, 9.8])

        assert spread is not None
        assert spread.outliers == (4,)
        assert spread.mean == pytest.approx(80 / 6)
        assert spread.median == pytest.approx(10.05)

    @given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=30))
    def test_has_its_mean_inside_the_interval(self, values: list[float]) -> None:
        spread = spread_of(values)

        assert spread is not None
        assert spread.low is not None
        assert spread.high is not None
        assert spread.low <= spread.mean <= spread.high
        assert len(spread.outliers) < len(values)


class TestOutliersOf:
    @pytest.mark.parametrize(
        ("values", "outliers"),
        [
            ([1, 1, 1, 100], ()),
            ([5, 5, 5, 5, 5], ()),
            ([5, 5, 5, 5, 5, 5, 9], (6,)),
            ([1, 2, 3, 4, 5, 6], ()),
            ([1, 2, 3, 4, 5, 60, -70], (5, 6)),
            ([5, 5, 5, 5, 5, 5, 5 + 1e-9], ()),
        ],
        ids=["too few", "all the same", "one among equals", "even", "on both sides", "off by rounding"],
    )
    def test_are_far_from_the_median(self, values: list[float], outliers: tuple[int, ...]) -> None:
        assert outliers_of(values) == outliers


class TestMeanWithout:
    def test_leaves_out_positions_and_not_values(self) -> None:
        assert mean_without([1, 3, 3, 8], {2}) == 4

    def test_of_nothing_is_none(self) -> None:
        assert mean_without([1], {0}) is None


class TestCellSpreadOf:
    def test_counts_each_prompt_once(self) -> None:
        cell = cell_spread_of([[10, 10, 10, 10], [20], []])

        assert cell is not None
        assert (cell.value_count, cell.between_prompts.n, cell.between_prompts.mean) == (5, 2, 15)
        assert cell.variation_of_repeats == 0.0

    def test_tells_the_spread_of_repeats_from_that_of_prompts(self) -> None:
        cell = cell_spread_of([[9, 11], [90, 110]])

        assert cell is not None
        assert cell.variation_of_repeats == pytest.approx(0.2**0.5 / 10**0.5)  # sqrt(2) / 10 in both
        assert cell.between_prompts.variation == pytest.approx(90 / 2**0.5 / 55)

    def test_without_repeats_has_none(self) -> None:
        cell = cell_spread_of([[9], [90]])

        assert cell is not None
        assert cell.variation_of_repeats is None

    def test_of_nothing_is_none(self) -> None:
        assert cell_spread_of([[]]) is None


class TestDriftOf:
    def test_of_a_straight_line_is_its_slope(self) -> None:
        drift = drift_of([0, 1, 2, 3], [100, 101, 102, 103])

        assert drift is not None
        assert drift.share_per_hour == pytest.approx(1 / 101.5)
        assert (drift.low, drift.high) == (pytest.approx(1 / 101.5), pytest.approx(1 / 101.5))
        assert drift.is_seen

    def test_of_noise_is_not_seen(self) -> None:
        drift = drift_of([0, 1, 2, 3, 4], [100, 103, 99, 102, 100])

        assert drift is not None
        assert drift.low < 0 < drift.high
        assert not drift.is_seen

    def test_of_rounding_is_not_seen(self) -> None:
        drift = drift_of([0, 1, 2, 3], [100, 100 + 1e-9, 100 + 2e-9, 100 + 3e-9])

        assert drift is not None
        assert not drift.is_seen

    @pytest.mark.parametrize(
        ("hours", "values"),
        [([0, 1], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([0, 1, 2], [0, 0, 0])],
        ids=["too few", "one moment", "nothing"],
    )
    def test_is_none_where_it_cannot_be_known(self, hours: list[float], values: list[float]) -> None:
        assert drift_of(hours, values) is None

    def test_refuses_lists_of_unlike_length(self) -> None:
        with pytest.raises(ValueError, match="do not fit"):
            drift_of([1], [])
