import pytest

from benchmarks.calibration import overhead_of, settling_time_s, smoothed
from benchmarks.spread import Spread, spread_of


def spread(*values: float) -> Spread:
    found = spread_of(values)
    assert found is not None
    return found


class TestOverhead:
    def test_is_a_share_of_the_span_and_of_idle(self) -> None:
        found = overhead_of(baseline=spread(50, 50, 50), idle=spread(51, 51, 51), peak_power_mw=150)
        assert found is not None
        assert found.of_span is not None
        assert found.of_idle is not None
        assert (found.power_mw.value, found.of_span.value, found.of_idle.value) == (1, 0.01, 0.02)

    def test_interval_is_that_of_two_means(self) -> None:
        first, second = spread(48, 50, 52), spread(50, 51, 52)
        found = overhead_of(baseline=first, idle=second, peak_power_mw=150)
        assert found is not None
        # by hand: t(2) = 4.3027; halves 4.3027 * 2 / sqrt(3) and 4.3027 * 1 / sqrt(3)
        assert found.power_mw.high - found.power_mw.value == pytest.approx(5.5548, abs=1e-3)
        assert found.power_mw.low < 0 < found.power_mw.high

    def test_needs_two_values_of_each(self) -> None:
        assert overhead_of(baseline=spread(50), idle=spread(51, 51), peak_power_mw=150) is None

    def test_has_no_share_of_a_span_that_is_none(self) -> None:
        found = overhead_of(baseline=spread(50, 50), idle=spread(51, 51), peak_power_mw=40)
        assert found is not None
        assert found.of_span is None


class TestSettlingTime:
    @pytest.mark.parametrize(
        ("points", "expected"),
        [
            ([(0, 90), (1, 70), (2, 53), (3, 51)], 2),
            ([(0, 90), (1, 52), (2, 60), (3, 51)], 3),
            ([(0, 52), (1, 51)], 0),
            ([(0, 90), (1, 80)], None),
            ([], None),
        ],
        ids=["falls", "comes back", "cold at once", "still warm", "nothing seen"],
    )
    def test_is_when_it_came_down_for_good(self, points: list[tuple[float, float]], expected: float | None) -> None:
        assert settling_time_s(points, idle=50, peak=90) == expected

    def test_is_unknown_where_it_did_not_warm_up(self) -> None:
        assert settling_time_s([(0, 50)], idle=50, peak=50) is None


class TestSmoothed:
    def test_takes_the_mean_of_what_came_before(self) -> None:
        assert smoothed([(0, 10), (1, 20), (2, 60)], width_s=1) == [(0, 10), (1, 15), (2, 40)]
