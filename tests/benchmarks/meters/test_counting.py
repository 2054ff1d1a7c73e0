import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.meters.base import Reading
from benchmarks.meters.counting import CounterGap, EnergyCounter

MS = 1_000_000
SECOND = 1_000_000_000
RANGE_UJ = 65_712_999_613


def counter(*, range_uj: int | None = RANGE_UJ, begins_uj: int = 0) -> EnergyCounter:
    made = EnergyCounter(range_uj=range_uj, max_power_w=500)
    made.start(0, begins_uj)
    return made


class TestEnergyCounter:
    def test_gives_the_energy_since_the_latest_look(self) -> None:
        looked_at = counter(begins_uj=5)

        assert looked_at.reading(100 * MS, 9_000_005) == Reading(100 * MS, 100 * MS, 9_000_000)
        assert looked_at.reading(200 * MS, 9_000_006) == Reading(200 * MS, 100 * MS, 1)

    def test_counts_on_over_a_wrap(self) -> None:
        looked_at = counter(begins_uj=RANGE_UJ - 4_000_000)

        assert looked_at.reading(100 * MS, 5_000_000).value == 9_000_000

    @pytest.mark.parametrize(
        ("range_uj", "at_ns", "value_uj", "reason"),
        [
            (RANGE_UJ, 100 * MS, 1, "was reset"),
            (RANGE_UJ, 100 * MS, 31_000_000_000, "was reset"),
            (None, 100 * MS, 1, "how far it counts is not known"),
            (RANGE_UJ, 132 * SECOND, 31_000_000_000, "more than once"),
        ],
        ids=["went back far", "jumped ahead", "range unknown", "long silence"],
    )
    def test_guesses_nothing_and_counts_from_there(
        self, range_uj: int | None, at_ns: int, value_uj: int, reason: str
    ) -> None:
        looked_at = counter(range_uj=range_uj, begins_uj=30_000_000_000)

        with pytest.raises(CounterGap, match=reason):
            looked_at.reading(at_ns, value_uj)

        assert looked_at.reading(at_ns + 100 * MS, value_uj + 7).value == 7

    def test_needs_a_first_look(self) -> None:
        looked_at = EnergyCounter(range_uj=None, max_power_w=500)

        with pytest.raises(CounterGap, match="first time"):
            looked_at.reading(5, 1_000)

        assert looked_at.reading(5 + MS, 1_003).value == 3

    def test_waits_for_a_clock_that_stands_still(self) -> None:
        looked_at = counter()

        with pytest.raises(CounterGap, match="clock"):
            looked_at.reading(0, 4)

        assert looked_at.reading(MS, 9).value == 9

    @pytest.mark.parametrize(("range_uj", "max_power_w"), [(0, 500), (-1, 500), (None, 0)])
    def test_refuses_what_makes_no_sense(self, range_uj: int | None, max_power_w: float) -> None:
        with pytest.raises(ValueError, match="no sense"):
            EnergyCounter(range_uj=range_uj, max_power_w=max_power_w)

    @pytest.mark.slow
    @given(st.lists(st.integers(0, 40_000_000), min_size=1, max_size=30), st.integers(0, RANGE_UJ - 1))
    def test_loses_and_invents_nothing_wherever_it_wraps(self, used_uj: list[int], begins_uj: int) -> None:
        looked_at = counter(begins_uj=begins_uj)

        total_uj, read_uj = begins_uj, 0
        for tick, one_uj in enumerate(used_uj, 1):
            total_uj += one_uj
            read_uj += looked_at.reading(tick * 100 * MS, total_uj % RANGE_UJ).value

        assert read_uj == sum(used_uj)
