import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sci import (
    SciInputError,
    SciInputs,
    embodied_emissions_gco2e,
    operational_emissions_gco2e,
    score,
)

# The answer that the paper works out: 220 W for 10.59 s on a computer of 574.1 kg that lasts 4 years.
PAPER = SciInputs(
    energy_j=220 * 10.59,
    time_reserved_s=10.59,
    carbon_intensity_gco2e_per_kwh=385,
    total_embodied_emissions_gco2e=574_100,
    expected_lifespan_s=126_144_000,
)


def paper_with(**changes: float) -> SciInputs:
    return SciInputs(**{**asdict(PAPER), **changes})


class TestScore:
    def test_gives_the_papers_worked_example(self) -> None:
        assert score(PAPER).sci_gco2e == pytest.approx(0.29736, abs=0.00001)

    def test_is_the_sum_of_its_two_parts(self) -> None:
        made = score(PAPER)

        # 2329.8 J are 0.000647167 kWh; 574,100 g * 10.59 s / 126,144,000 s
        assert made.operational_emissions_gco2e == pytest.approx(0.249159, abs=1e-6)
        assert made.embodied_emissions_gco2e == pytest.approx(0.048196, abs=1e-6)
        assert made.sci_gco2e == made.operational_emissions_gco2e + made.embodied_emissions_gco2e

    def test_of_nothing_used_and_no_time_is_zero(self) -> None:
        assert score(paper_with(energy_j=0, time_reserved_s=0)).sci_gco2e == 0

    @given(share=st.floats(0.001, 1))
    def test_counts_only_the_reserved_share_of_the_machine(self, share: float) -> None:
        whole, part = score(PAPER), score(paper_with(resource_share=share))

        assert part.embodied_emissions_gco2e == pytest.approx(whole.embodied_emissions_gco2e * share)
        assert part.operational_emissions_gco2e == whole.operational_emissions_gco2e

    @given(intensity=st.floats(0, 2000))
    def test_leaves_embodied_emissions_alone_where_the_intensity_changes(self, intensity: float) -> None:
        made = score(paper_with(carbon_intensity_gco2e_per_kwh=intensity))

        assert made.embodied_emissions_gco2e == score(PAPER).embodied_emissions_gco2e
        assert made.operational_emissions_gco2e == pytest.approx(PAPER.energy_j / 3.6e6 * intensity)


class TestOperationalEmissions:
    def test_of_one_kilowatt_hour_are_the_intensity(self) -> None:
        assert operational_emissions_gco2e(3_600_000, 385) == 385

    @given(first=st.floats(0, 1e9), second=st.floats(0, 1e9))
    def test_add_up_over_answers(self, first: float, second: float) -> None:
        together = operational_emissions_gco2e(first + second, 385)

        apart = operational_emissions_gco2e(first, 385) + operational_emissions_gco2e(second, 385)
        assert together == pytest.approx(apart, abs=1e-9)


class TestEmbodiedEmissions:
    def test_of_the_whole_lifespan_are_all_of_them(self) -> None:
        emitted = embodied_emissions_gco2e(
            time_reserved_s=126_144_000, total_embodied_emissions_gco2e=574_100, expected_lifespan_s=126_144_000
        )

        assert emitted == 574_100

    @given(seconds=st.floats(0.001, 1e6))
    def test_grow_with_the_time_reserved(self, seconds: float) -> None:
        made = score(paper_with(time_reserved_s=seconds))
        twice = score(paper_with(time_reserved_s=2 * seconds))

        assert twice.embodied_emissions_gco2e == pytest.approx(2 * made.embodied_emissions_gco2e)


class TestSciInputs:
    @pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("field", [name for name in asdict(PAPER) if name != "resource_share"])
    def test_refuse_what_is_below_0_or_not_a_number_and_name_it(self, field: str, value: float) -> None:
        with pytest.raises(SciInputError, match=f"^{field} must be"):
            paper_with(**{field: value})

    @pytest.mark.parametrize("value", [0, -0.5, 1.0000001, math.nan, math.inf])
    def test_refuse_a_share_outside_0_to_1(self, value: float) -> None:
        with pytest.raises(SciInputError, match="^resource_share must be"):
            paper_with(resource_share=value)

    def test_refuse_a_machine_that_lasts_no_time(self) -> None:
        with pytest.raises(SciInputError, match="^expected_lifespan_s must be above 0, not 0"):
            paper_with(expected_lifespan_s=0)

    @pytest.mark.parametrize(
        "field",
        ["energy_j", "time_reserved_s", "carbon_intensity_gco2e_per_kwh", "total_embodied_emissions_gco2e"],
    )
    def test_take_a_zero_where_one_makes_sense(self, field: str) -> None:
        assert score(paper_with(**{field: 0})).sci_gco2e >= 0
