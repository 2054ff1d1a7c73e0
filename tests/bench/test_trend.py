import numpy as np
import pytest

from tests.bench.trend import trend_of

MOMENTS = np.arange(0, 900, 10.0)


def rising_count(make, *, leak: float, tries: int = 20) -> int:
    """Count the series that are told to rise."""
    count = 0
    for seed in range(tries):
        noise = make(np.random.default_rng(seed))
        count += trend_of(MOMENTS, 1e8 + noise + leak * MOMENTS, block=12, seed=seed, draws=200).is_rising
    return count


def alone(random: np.random.Generator) -> np.ndarray:
    return random.normal(0, 1e5, len(MOMENTS))


def alike(random: np.random.Generator) -> np.ndarray:
    """Each value has 0.7 of the one before."""
    values = [0.0]
    for step in random.normal(0, 1e5, len(MOMENTS) + 50):
        values.append(0.7 * values[-1] + step)
    return np.array(values[-len(MOMENTS) :])


def sawtooth(random: np.random.Generator) -> np.ndarray:
    """Garbage grows for a minute and a half, and goes at once."""
    return ((MOMENTS + random.uniform(0, 90)) % 90) * 1e4


class TestTrend:
    @pytest.mark.slow
    @pytest.mark.parametrize(("make", "most"), [(alone, 2), (alike, 4), (sawtooth, 0)])
    def test_seldom_rises_where_nothing_does(self, make, most: int) -> None:
        assert rising_count(make, leak=0) <= most

    @pytest.mark.slow
    @pytest.mark.parametrize("make", [alone, alike, sawtooth])
    def test_rises_with_a_leak(self, make) -> None:
        assert rising_count(make, leak=3000) == 20

    def test_of_a_level_series_is_nothing(self) -> None:
        found = trend_of(MOMENTS, [30.0] * len(MOMENTS), block=12, seed=0)
        assert (found.slope, found.low, found.high, found.is_rising) == (0, 0, 0, False)

    def test_of_a_single_spike_is_nothing(self) -> None:
        values = [30.0] * len(MOMENTS)
        values[-1] = 90
        assert not trend_of(MOMENTS, values, block=12, seed=0).is_rising

    def test_has_the_unit_of_a_second(self) -> None:
        assert trend_of(MOMENTS, 5 * MOMENTS, block=12, seed=0).slope == pytest.approx(5)

    def test_needs_some_values(self) -> None:
        with pytest.raises(ValueError, match="eight|8"):
            trend_of([0, 1], [1, 1], block=2, seed=0)
