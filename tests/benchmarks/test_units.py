import pytest

from benchmarks.units import mean_power_mw, milliwatts_to_watts


class TestPower:
    def test_in_watts(self) -> None:
        assert milliwatts_to_watts(1500) == 1.5

    @pytest.mark.parametrize(
        ("energy_uj", "window_ns", "power_mw"),
        [(1_000_000, 1_000_000_000, 1000.0), (990_000, 99_000_000, 10_000.0), (0, 1, 0.0)],
    )
    def test_of_an_energy_is_its_mean_over_the_window(self, energy_uj: float, window_ns: int, power_mw: float) -> None:
        assert mean_power_mw(energy_uj, window_ns) == pytest.approx(power_mw)
