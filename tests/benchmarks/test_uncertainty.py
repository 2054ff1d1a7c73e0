"""What the interval says of edges, holes and levels that a few readings show."""

import pytest

from benchmarks.energy import integrate
from benchmarks.meters.base import Quantity, Reading
from benchmarks.uncertainty import EnergyInterval, energy_interval

MS = 1_000_000


def readings(*powers_w: float, window_ms: int = 100, every_ms: int = 100) -> list[Reading]:
    return [
        Reading((number + 1) * every_ms * MS, window_ms * MS, round(power * 1000))
        for number, power in enumerate(powers_w)
    ]


def interval(some: list[Reading], start_ms: int, stop_ms: int) -> tuple[float, EnergyInterval]:
    start_ns, stop_ns = start_ms * MS, stop_ms * MS
    found = integrate(some, start_ns, stop_ns, 100 * MS).energy_j
    assert found is not None
    return found, energy_interval(some, found, start_ns=start_ns, stop_ns=stop_ns, quantity=Quantity.POWER_MW)


class TestEnergyInterval:
    def test_is_a_point_where_the_power_is_level(self) -> None:
        energy_j, found = interval(readings(*[50] * 10), 150, 850)
        assert (found.low_j, found.high_j) == pytest.approx((energy_j, energy_j))

    def test_holds_a_first_stretch_of_higher_power_that_no_window_saw_alone(self) -> None:
        # idle 20 W until 0.15 s, then 50 ms of 200 W, then 100 W: the window from 0.1 to 0.2 s has a mean of 110 W
        some = readings(20, 110, *[100] * 6)
        true_j = 0.05 * 200 + 0.55 * 100
        energy_j, found = interval(some, 150, 750)
        assert energy_j == pytest.approx(60)
        assert found.low_j <= true_j <= found.high_j

    def test_grows_with_the_time_between_windows(self) -> None:
        powers = [50, 50, 60, 80, 70, 50, 50]
        _, seen = interval(readings(*powers), 100, 700)
        _, half_seen = interval(readings(*powers, window_ms=50), 100, 700)
        assert half_seen.high_j - half_seen.low_j > seen.high_j - seen.low_j

    def test_is_wide_where_no_window_lies_inside(self) -> None:
        energy_j, found = interval(readings(20, 60, 100, 20), 130, 240)
        assert found.high_j - found.low_j > energy_j / 2

    def test_is_never_below_zero(self) -> None:
        _, found = interval(readings(0, 500, 0), 110, 190)
        assert found.low_j == 0

    def test_needs_a_reading_of_the_time(self) -> None:
        with pytest.raises(ValueError, match="no reading saw"):
            energy_interval(readings(1), 1.0, start_ns=500 * MS, stop_ns=600 * MS, quantity=Quantity.POWER_MW)
