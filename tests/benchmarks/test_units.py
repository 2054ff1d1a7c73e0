import pytest

from benchmarks.units import mean_power_mw, milliwatts_to_watts, size_in_words


class TestPower:
    def test_in_watts(self) -> None:
        assert milliwatts_to_watts(1500) == 1.5

    @pytest.mark.parametrize(
        ("energy_uj", "window_ns", "power_mw"),
        [(1_000_000, 1_000_000_000, 1000.0), (990_000, 99_000_000, 10_000.0), (0, 1, 0.0)],
    )
    def test_of_an_energy_is_its_mean_over_the_window(self, energy_uj: float, window_ns: int, power_mw: float) -> None:
        assert mean_power_mw(energy_uj, window_ns) == pytest.approx(power_mw)


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (98_400_000, "98.4 MB"), (999_600_000, "1 GB"),
     (4_661_224_676, "4.66 GB"), (404_000_000_000, "404 GB")],
)  # fmt: skip
def test_a_size_has_three_digits_and_a_decimal_unit(size_bytes: int, words: str) -> None:
    assert size_in_words(size_bytes) == words
