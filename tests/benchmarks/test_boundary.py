import pytest

from benchmarks.boundary import (
    MAX_WORDS_LENGTH,
    IdleBaseline,
    IntegratedChannel,
    draw_boundary,
    energy_net_of_idle_j,
)
from benchmarks.energy import Integration


def channel(
    name: str = "machine",
    energy_j: float | None = 20.0,
    *,
    scope: str = "machine",
    quality: str = "measured",
    meter: str = "plug",
    is_low_precision: bool = False,
    is_shared: bool = False,
) -> IntegratedChannel:
    return IntegratedChannel(
        name=name,
        meter=meter,
        scope=scope,
        quality=quality,
        is_shared=is_shared,
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
        assert drawn.boundary == "sum of components (no wall meter): cpu by rapl, gpu by nvml"

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

    @pytest.mark.parametrize("is_shared", [False, True])
    def test_is_shared_where_any_channel_in_it_is(self, is_shared: bool) -> None:
        gpu = channel("gpu", scope="component", is_shared=is_shared)

        assert draw_boundary([CPU, gpu]).is_shared is is_shared
        assert not draw_boundary([channel(), gpu]).is_shared

    def test_says_how_many_channels_where_their_names_are_too_long(self) -> None:
        gpus = [
            channel(f"gpu-GPU-5f9a0d3c-6f1b-4c7e-9d55-2f2a6d8f1b1{n}", scope="component", meter="nvml")
            for n in range(4)
        ]

        drawn = draw_boundary([CPU, *gpus])

        assert drawn.boundary == "sum of components (no wall meter): 4 by nvml, 1 by rapl"
        assert len(drawn.boundary) <= MAX_WORDS_LENGTH


DRAM = channel("dram", 2.0, scope="component", quality="component", meter="rapl")
CPU_2 = channel("cpu-2", 4.0, scope="component", quality="component", meter="rapl")
CORE = channel("core", 3.0, scope="part", quality="component", meter="rapl")
PSYS = channel("psys", 11.0, scope="part", quality="component", meter="rapl")
GUESS = channel("guess", 30.0, quality="estimated", meter="estimate")
TWIN = channel("twin", 25.0, quality="simulated", meter="replay")
SILENT = channel("machine", None)
SILENT_GPU = channel("gpu", None, scope="component", quality="component", meter="nvml")


class TestTableOfBoundaries:
    @pytest.mark.parametrize(
        ("channels", "energy_j", "quality", "counted"),
        [
            ([channel(), CPU, DRAM, CORE, GPU], 20.0, "measured", {"machine"}),
            ([CPU, DRAM, CORE, GPU], 16.0, "component", {"cpu", "dram", "gpu"}),
            ([CPU, CPU_2, DRAM], 11.0, "component", {"cpu", "cpu-2", "dram"}),
            ([CPU, PSYS, CORE], 5.0, "component", {"cpu"}),
            ([GUESS], 30.0, "estimated", {"guess"}),
            ([GUESS, CPU, GPU], 14.0, "component", {"cpu", "gpu"}),
            ([GUESS, channel("gpu", 9.0, scope="component", quality="simulated")], 30.0, "estimated", {"guess"}),
            ([TWIN, CPU], 25.0, "simulated", {"twin"}),
            ([SILENT, CPU, GPU], None, "missing", {"machine"}),
            ([SILENT, GUESS], None, "missing", {"machine"}),
            ([CPU, SILENT_GPU], None, "missing", {"cpu", "gpu"}),
            ([GUESS, CPU, SILENT_GPU], None, "missing", {"cpu", "gpu"}),
            ([channel(), SILENT_GPU], 20.0, "measured", {"machine"}),
            ([CORE, PSYS], None, "missing", set()),
        ],
        ids=[
            "a wall meter is the machine",
            "package, memory and GPU are added, cores are not",
            "two sockets are added",
            "the platform is not added to its package",
            "an estimate alone",
            "meters of components go before an estimate",
            "a twin of a component does not",
            "the twin of a wall meter stands where the wall meter would",
            "a silent wall meter is missing, whatever the components say",
            "a silent wall meter is missing, whatever the estimate says",
            "a silent component is missing",
            "a silent component is missing, whatever the estimate says",
            "a silent component below a wall meter does no harm",
            "parts alone are nothing",
        ],
    )
    def test_holds(
        self, channels: list[IntegratedChannel], energy_j: float | None, quality: str, counted: set[str]
    ) -> None:
        drawn = draw_boundary(channels)

        assert (drawn.energy_j, drawn.quality, drawn.counted) == (energy_j, quality, counted)
        assert bool(drawn.missing_reason) is (energy_j is None)


class TestEnergyNetOfIdle:
    @pytest.mark.parametrize(
        ("channels", "baseline", "net_j"),
        [
            ([channel()], IdleBaseline(3_500, frozenset({"machine"}), "measured"), 13.0),
            ([CPU, GPU], IdleBaseline(2_000, frozenset({"cpu", "gpu"}), "component"), 10.0),
            ([channel()], IdleBaseline(12_000, frozenset({"machine"}), "measured"), -4.0),
            ([channel()], IdleBaseline(2_000, frozenset({"cpu", "gpu"}), "measured"), None),
            ([channel()], IdleBaseline(3_500, frozenset({"machine"}), "estimated"), None),
            ([channel()], None, None),
            ([SILENT], IdleBaseline(3_500, frozenset({"machine"}), "measured"), None),
        ],
        ids=[
            "machine",
            "components",
            "below idle",
            "baseline of other channels",
            "baseline of another quality",
            "no baseline",
            "missing",
        ],
    )
    def test_is_gross_less_idle_power_times_time(
        self, channels: list[IntegratedChannel], baseline: IdleBaseline | None, net_j: float | None
    ) -> None:
        assert energy_net_of_idle_j(draw_boundary(channels), duration_s=2.0, baseline=baseline) == net_j
