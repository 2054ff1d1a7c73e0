import pytest

from benchmarks.boundary import IntegratedChannel, draw_boundary
from benchmarks.energy import Integration


def channel(
    name: str = "machine",
    energy_j: float | None = 20.0,
    *,
    scope: str = "machine",
    quality: str = "measured",
    meter: str = "plug",
    is_low_precision: bool = False,
) -> IntegratedChannel:
    return IntegratedChannel(
        name=name,
        meter=meter,
        scope=scope,
        quality=quality,
        integration=Integration(
            energy_j=energy_j,
            mean_power_mw=energy_j,
            sample_count=20,
            coverage=1.0,
            gap_count=int(energy_j is None),
            longest_gap_ns=0,
            is_low_precision=is_low_precision,
            reason="" if energy_j is not None else "no reading for 2 s",
        ),
    )


CPU = channel("cpu", 5.0, scope="component", quality="component", meter="rapl")
GPU = channel("gpu", 9.0, scope="component", quality="component", meter="nvml")


class TestDrawBoundary:
    def test_takes_the_wall_meter_and_never_adds_components_to_it(self) -> None:
        drawn = draw_boundary([CPU, channel(energy_j=20.0), GPU])

        assert (drawn.energy_j, drawn.quality) == (20.0, "measured")
        assert drawn.counted == {"machine"}
        assert drawn.boundary == "whole machine, by plug (machine)"

    def test_adds_components_up_where_nothing_sees_the_machine_and_says_so(self) -> None:
        drawn = draw_boundary([CPU, GPU])

        assert (drawn.energy_j, drawn.quality) == (14.0, "component")
        assert drawn.boundary == "sum of components: cpu by rapl, gpu by nvml"

    def test_prefers_the_better_of_two_that_see_the_machine(self) -> None:
        guess = channel("a-guess", 99.0, quality="estimated", meter="estimate")

        assert draw_boundary([guess, channel(energy_j=20.0)]).energy_j == 20.0

    def test_is_as_good_as_its_worst_component(self) -> None:
        drawn = draw_boundary([CPU, channel("gpu", 1.0, scope="component", quality="simulated")])

        assert drawn.quality == "simulated"

    def test_of_a_gap_is_missing_and_says_why(self) -> None:
        drawn = draw_boundary([CPU, channel("gpu", None, scope="component")])

        assert (drawn.energy_j, drawn.quality) == (None, "missing")
        assert drawn.missing_reason == "gpu: no reading for 2 s"

    def test_does_not_mind_a_gap_outside_of_it(self) -> None:
        drawn = draw_boundary([channel(), channel("gpu", None, scope="component")])

        assert (drawn.energy_j, drawn.missing_reason) == (20.0, "")

    def test_without_any_meter_is_missing(self) -> None:
        drawn = draw_boundary([])

        assert (drawn.energy_j, drawn.quality) == (None, "missing")
        assert "No meter" in drawn.missing_reason

    def test_takes_a_meter_that_read_nothing_at_all_as_missing(self) -> None:
        drawn = draw_boundary([channel(energy_j=0.0)])

        assert (drawn.energy_j, drawn.quality) == (None, "missing")
        assert drawn.missing_reason == "machine: 0 J were read, which no computer at work uses"

    def test_takes_one_idle_component_beside_others_as_read(self) -> None:
        assert draw_boundary([CPU, channel("gpu", 0.0, scope="component")]).energy_j == 5.0

    @pytest.mark.parametrize("is_low_precision", [False, True])
    def test_is_of_low_precision_where_any_channel_in_it_is(self, is_low_precision: bool) -> None:
        gpu = channel("gpu", scope="component", is_low_precision=is_low_precision)

        assert draw_boundary([CPU, gpu]).is_low_precision is is_low_precision
