"""One test for each bug that other tools had with these counters, so that none of them is made here.

The names say whose bug it was; the figures are from their issues where they gave some.
"""

from collections.abc import Sequence
from pathlib import Path

import pynvml
import pytest

from benchmarks.boundary import BoundedEnergy, IntegratedChannel, draw_boundary
from benchmarks.energy import integrate
from benchmarks.meters.base import Meter, MeterError, MeterUnavailable, Quality, Quantity, Reading
from benchmarks.meters.nvml import NvmlMeter
from benchmarks.meters.nvml_library import PynvmlLibrary
from benchmarks.meters.rapl import RaplMeter
from benchmarks.meters.replay import Step
from benchmarks.meters.simulated_nvml import SimulatedGpu, SimulatedNvml
from tests.benchmarks.meters.powercap_tree import RANGE_UJ, Clock, Tree
from tests.benchmarks.meters.test_nvml_library import ENERGY, GPU, MODULE, POWER, Card, field_values

MS = 1_000_000
GTX_1080 = "GPU-5f9a0d3c-6f1b-4c7e-9d55-2f2a6d8f1b11"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "powercap")


class Course:
    """Zones of a tree, or GPUs, that use a constant power each and are read every 99 ms."""

    def __init__(self, meter: Meter, clock: Clock, tree: Tree | None = None) -> None:
        self.meter = meter
        self._clock = clock
        self._tree = tree
        self._counters: dict[str, tuple[float, float, int]] = {}
        self._readings: dict[str, list[Reading]] = {channel.name: [] for channel in meter.channels}

    def uses(self, place: str, power_w: float, *, begins_uj: int = 0, range_uj: int = RANGE_UJ) -> None:
        self._counters[place] = (begins_uj, power_w, range_uj)

    def run(self, seconds: float = 2.0, period_ms: float = 99) -> BoundedEnergy:
        """Let time go by, and return the energy inside the boundary."""
        start_ns = self._clock.now_ns
        while self._clock.now_ns < start_ns + seconds * 1e9:
            self._clock.move(period_ms)
            for place, (begins_uj, power_w, range_uj) in self._counters.items():
                used_uj = power_w * (self._clock.now_ns - start_ns) / 1000
                assert self._tree is not None
                self._tree.set(place, round(begins_uj + used_uj) % range_uj)
            for name, reading in self.meter.read().items():
                if reading is not None:
                    self._readings[name].append(reading)
        return self._bounded(start_ns, self._clock.now_ns, round(period_ms * MS))

    def _bounded(self, start_ns: int, stop_ns: int, period_ns: int) -> BoundedEnergy:
        return draw_boundary(
            [
                IntegratedChannel(
                    name=channel.name,
                    meter="rapl",
                    scope=channel.boundary,
                    quality=channel.quality,
                    integration=integrate(
                        self._readings[channel.name], start_ns, stop_ns, period_ns, quantity=channel.quantity
                    ),
                    is_shared=channel.is_shared,
                )
                for channel in self.meter.channels
            ]
        )


def rapl(tree: Tree, clock: Clock) -> Course:
    meter = RaplMeter(root=tree.root, clock=clock, sleep_clock=clock.sleep_clock)
    meter.open()
    return Course(meter, clock, tree)


def nvml(cards: Sequence[SimulatedGpu], clock: Clock, *, is_counter_used: bool = True) -> Course:
    meter = NvmlMeter(library=SimulatedNvml(cards, clock=clock), is_counter_used=is_counter_used, clock=clock)
    meter.open()
    return Course(meter, clock)


class TestRaplBugs:
    def test_scaphandre_280_pyrapl_a_wrap_is_not_handled(self, tree: Tree, clock: Clock) -> None:
        course = rapl(tree.add("intel-rapl:0", "package-0", RANGE_UJ - 50_000_000), clock)
        course.uses("intel-rapl:0", 95.0, begins_uj=RANGE_UJ - 50_000_000)

        assert course.run(2.079).energy_j == pytest.approx(95.0 * 2.079, rel=1e-6)

    def test_carbontracker_a_wrap_gives_0(self, tree: Tree, clock: Clock) -> None:
        course = rapl(tree.add("intel-rapl:0", "package-0", RANGE_UJ - 1), clock)
        clock.move(99)
        tree.set("intel-rapl:0", 9_000_000)

        assert [reading.value for reading in course.meter.read().values() if reading] == [9_000_001]

    def test_powerjoular_87_two_zones_that_wrap_at_different_times_give_260_kw(self, tree: Tree, clock: Clock) -> None:
        small_uj = 65_712_999_613
        tree.add("intel-rapl:0", "package-0", RANGE_UJ - 30_000_000)
        tree.add("intel-rapl:0:0", "dram", small_uj - 9_000_000, small_uj)
        course = rapl(tree, clock)
        course.uses("intel-rapl:0", 95.0, begins_uj=RANGE_UJ - 30_000_000)
        course.uses("intel-rapl:0:0", 5.0, begins_uj=small_uj - 9_000_000, range_uj=small_uj)

        assert course.run(2.079).energy_j == pytest.approx(100.0 * 2.079, rel=1e-6)

    def test_powerjoular_45_codecarbon_1309_a_wrap_of_unknown_range_is_negative(self, tree: Tree, clock: Clock) -> None:
        course = rapl(tree.add("intel-rapl:0", "package-0", RANGE_UJ - 5_000_000, None), clock)
        clock.move(99)
        tree.set("intel-rapl:0", 4_400_000)

        with pytest.raises(MeterError, match="how far it counts is not known"):
            course.meter.read()

    def test_codecarbon_a_read_error_is_told_as_0_and_then_as_a_wrap(self, tree: Tree, clock: Clock) -> None:
        tree.add("intel-rapl:0", "package-0", 100_000_000_000).add("intel-rapl:0:0", "dram")
        meter = rapl(tree, clock).meter
        tree.break_zone("intel-rapl:0")
        clock.move(99)
        assert "cpu-package-0" not in meter.read()

        tree.mend_zone("intel-rapl:0", 100_018_810_000)
        clock.move(99)

        assert meter.read()["cpu-package-0"] == Reading(clock.now_ns, 198 * MS, 18_810_000)

    def test_a_counter_that_says_rubbish_is_a_gap(self, tree: Tree, clock: Clock) -> None:
        meter = rapl(tree.add("intel-rapl:0", "package-0", 5), clock).meter
        clock.move(99)
        tree.set("intel-rapl:0", "")

        with pytest.raises(MeterError, match="invalid literal"):
            meter.read()

    def test_codecarbon_1274_dies_that_mirror_their_socket_are_added(self, tree: Tree, clock: Clock) -> None:
        """A Threadripper 1950X: 68 W and 68 W are one counter read twice, not 137 W."""
        tree.add("intel-rapl:0", "package-0-die-0", 80_000_000_000)
        tree.add("intel-rapl:1", "package-0-die-1", 80_000_000_000)
        course = rapl(tree, clock)
        course.uses("intel-rapl:0", 68.0, begins_uj=80_000_000_000)
        course.uses("intel-rapl:1", 68.0, begins_uj=80_000_000_000)

        assert course.run(2.079).energy_j == pytest.approx(68.0 * 2.079, rel=1e-6)

    def test_codecarbon_788_copies_over_mmio_make_it_almost_twice_as_high(self, tree: Tree, clock: Clock) -> None:
        tree.add("intel-rapl:0", "package-0").add("intel-rapl-mmio:0", "package-0")
        course = rapl(tree, clock)
        course.uses("intel-rapl:0", 40.0)
        course.uses("intel-rapl-mmio:0", 40.0)

        assert course.run(2.079).energy_j == pytest.approx(40.0 * 2.079, rel=1e-6)

    def test_psys_core_and_uncore_are_added_to_their_package(self, tree: Tree, clock: Clock) -> None:
        tree.add("intel-rapl:0", "package-0").add("intel-rapl:0:0", "core").add("intel-rapl:0:1", "uncore")
        course = rapl(tree.add("intel-rapl:1", "psys"), clock)
        for place, power_w in (
            ("intel-rapl:0", 50.0),
            ("intel-rapl:0:0", 35.0),
            ("intel-rapl:0:1", 5.0),
            ("intel-rapl:1", 70.0),
        ):
            course.uses(place, power_w)

        bounded = course.run(2.079)

        assert bounded.energy_j == pytest.approx(50.0 * 2.079, rel=1e-6)
        assert bounded.counted == {"cpu-package-0"}

    def test_a_psys_below_its_package_is_taken_for_the_machine(self, tree: Tree, clock: Clock) -> None:
        """As on a Kaby Lake whose psys has another unit: it says 9 W while the package says 50 W."""
        course = rapl(tree.add("intel-rapl:0", "package-0").add("intel-rapl:1", "psys"), clock)
        course.uses("intel-rapl:0", 50.0)
        course.uses("intel-rapl:1", 9.0)

        bounded = course.run(2.079)

        assert bounded.energy_j == pytest.approx(50.0 * 2.079, rel=1e-6)
        assert bounded.counted == {"cpu-package-0"}

    def test_two_sockets_are_read_as_one(self, tree: Tree, clock: Clock) -> None:
        course = rapl(tree.add("intel-rapl:0", "package-0").add("intel-rapl:1", "package-1"), clock)
        course.uses("intel-rapl:0", 50.0)
        course.uses("intel-rapl:1", 30.0)

        bounded = course.run(2.079)

        assert bounded.energy_j == pytest.approx(80.0 * 2.079, rel=1e-6)
        assert bounded.counted == {"cpu-package-0", "cpu-package-1"}

    def test_codecarbon_117_a_wrong_unit_makes_it_a_hundred_times_too_high(self, tree: Tree, clock: Clock) -> None:
        course = rapl(tree.add("intel-rapl:0", "package-0"), clock)
        course.uses("intel-rapl:0", 15.0)

        assert course.run(2.97).energy_j == pytest.approx(44.55, rel=1e-6)

    def test_scaphandre_241_a_processor_is_told_as_the_whole_machine(self, tree: Tree, clock: Clock) -> None:
        course = rapl(tree.add("intel-rapl:0", "package-0"), clock)
        course.uses("intel-rapl:0", 15.0)

        bounded = course.run()

        assert bounded.quality == "component"
        assert bounded.boundary == "sum of components (no wall meter): cpu-package-0 by rapl"

    def test_zeus_more_than_one_wrap_between_two_polls_is_taken_for_one(self, tree: Tree, clock: Clock) -> None:
        small_uj = 65_712_999_613  # a socket of 280 W goes round in 234 s
        meter = rapl(tree.add("intel-rapl:0", "package-0", 7, small_uj), clock).meter
        clock.move(500_000)
        tree.set("intel-rapl:0", 280 * 500 * 1_000_000 % small_uj)

        with pytest.raises(MeterError, match="more than once"):
            meter.read()

    def test_a_suspend_that_reset_the_counter_is_taken_for_a_wrap(self, tree: Tree, clock: Clock) -> None:
        meter = rapl(tree.add("intel-rapl:0", "package-0", 90_000_000_000), clock).meter
        clock.move(99)
        tree.set("intel-rapl:0", 1_000)

        with pytest.raises(MeterError, match="was reset"):
            meter.read()

    def test_a_virtual_machine_without_counters_reads_0(self, tree: Tree, clock: Clock) -> None:
        with pytest.raises(MeterUnavailable, match="no RAPL zones"):
            rapl(tree, clock)


class TestNvmlBugs:
    def test_codecarbon_1316_a_gtx_1080_uses_0_kwh(self, clock: Clock) -> None:
        course = nvml([SimulatedGpu(GTX_1080, [Step(1, 170.0)], has_counter=False)], clock)

        bounded = course.run(3.0, period_ms=19)

        assert bounded.energy_j == pytest.approx(510.0, rel=0.01)
        assert bounded.counted == {f"gpu-{GTX_1080}"}

    def test_zeus_a_short_window_of_a_slow_counter_reads_0(self, clock: Clock) -> None:
        """60 ms of an answer, in which the counter did not move."""
        course = nvml([SimulatedGpu("A", [Step(1, 170.0)])], clock)
        course.run(1.0, period_ms=19)

        bounded = course.run(0.057, period_ms=19)

        assert bounded.energy_j is None or bounded.energy_j > 0

    def test_zeus_186_fast_polling_gives_powers_of_0(self, clock: Clock) -> None:
        course = nvml([SimulatedGpu("A", [Step(0.5, 0.0), Step(0.5, 90.0)], has_counter=False)], clock)
        clock.move(100)

        with pytest.raises(MeterError, match="0 mW"):
            course.meter.read()

    def test_zeus_181_counter_and_power_disagree_on_an_idle_gpu(self, clock: Clock) -> None:
        energies_j = [
            nvml([SimulatedGpu("A", [Step(1, 37.4)])], clock, is_counter_used=is_counter_used)
            .run(5.0, period_ms=11)
            .energy_j
            for is_counter_used in (True, False)
        ]

        assert energies_j == [pytest.approx(187, rel=0.005), pytest.approx(187, rel=0.005)]

    def test_arxiv_2312_02741_what_was_not_seen_is_told_as_seen(self, clock: Clock) -> None:
        course = nvml([SimulatedGpu("A", [Step(1, 170.0)], has_counter=False)], clock)
        channel = course.meter.channels[0]
        start_ns = clock.now_ns
        readings = []
        for _ in range(100):
            clock.move(20)
            readings += [reading for reading in course.meter.read().values() if reading]

        result = integrate(readings, start_ns, clock.now_ns, 20 * MS, quantity=channel.quantity)

        assert result.coverage == pytest.approx(0.5, abs=0.02)

    def test_arxiv_2501_17752_an_instance_is_given_the_energy_of_the_whole_gpu(self, clock: Clock) -> None:
        assert nvml([SimulatedGpu("A", [Step(1, 170.0)], is_shared=True)], clock).run(2.0, 19).is_shared

    def test_grace_hopper_the_power_of_the_module_is_taken_for_its_gpu_s(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The usual calls tell 480 W of GPU, processor and memory; RAPL's 100 W would then be added once more.

        Here counter and power are the module's for both scopes of the counter, so the GPU's power is integrated.
        """
        card = Card(monkeypatch)
        card.says("DeviceGetName", lambda handle: "NVIDIA GH200 480GB")
        card.says("DeviceGetArchitecture", lambda handle: pynvml.NVML_DEVICE_ARCH_HOPPER)
        card.says("DeviceGetPowerUsage", lambda handle: 480_000)
        card.says("DeviceGetTotalEnergyConsumption", lambda handle: 480 * clock.now_ns // MS)
        counted = {(ENERGY, scope): 480_000_000 for scope in (GPU, MODULE)}
        card.says("DeviceGetFieldValues", field_values(counted | {(POWER, GPU): 310_000, (POWER, MODULE): 480_000}))
        meter = NvmlMeter(library=PynvmlLibrary(), clock=clock)
        meter.open()

        found = Course(meter, clock).run(2.0, period_ms=11)

        assert found.energy_j == pytest.approx(310 * 2, rel=0.02)
        meter.close()

    def test_gpus_are_told_apart_by_their_numbers(self, clock: Clock) -> None:
        """After a restart the driver lists them the other way round."""
        cards = [
            SimulatedGpu("A", [Step(1, 200.0)], has_counter=False),
            SimulatedGpu("B", [Step(1, 20.0)], has_counter=False),
        ]
        library = SimulatedNvml(cards, clock=clock)
        meter = NvmlMeter(library=library, clock=clock)
        meter.open()
        meter.close()
        library.cards = dict(reversed(library.cards.items()))
        meter.open()
        clock.move(100)

        values = {name: reading.value for name, reading in meter.read().items() if reading}

        assert values == {"gpu-A": 200_000, "gpu-B": 20_000}

    def test_only_one_of_several_gpus_is_counted(self, clock: Clock) -> None:
        course = nvml([SimulatedGpu("A", [Step(1, 150.0)]), SimulatedGpu("B", [Step(1, 50.0)])], clock)

        bounded = course.run(5.0, period_ms=11)

        assert bounded.energy_j == pytest.approx(1000, rel=0.01)
        assert bounded.counted == {"gpu-A", "gpu-B"}


class TestBoundaryBugs:
    def test_wall_meter_rapl_and_nvml_are_added(self) -> None:
        def seen(name: str, meter: str, scope: str, quality: Quality, power_mw: int) -> IntegratedChannel:
            readings = [Reading(at * 99 * MS, 99 * MS, power_mw) for at in range(1, 21)]
            return IntegratedChannel(name, meter, scope, quality, integrate(readings, 0, 1_980 * MS, 99 * MS))

        bounded = draw_boundary(
            [
                seen("cpu-package-0", "rapl", "component", Quality.COMPONENT, 60_000),
                seen("gpu-A", "nvml", "component", Quality.COMPONENT, 170_000),
                seen("machine", "mcp", "machine", Quality.MEASURED, 300_000),
            ]
        )

        assert bounded.energy_j == pytest.approx(594.0)
        assert (bounded.counted, bounded.quality) == ({"machine"}, "measured")


class TestIntegrationBugs:
    def test_a_gap_of_more_than_three_periods_is_bridged(self) -> None:
        readings = [Reading(at * 99 * MS, 99 * MS, 1_000) for at in (1, 2, 3, 8, 9, 10)]

        assert integrate(readings, 0, 990 * MS, 99 * MS).energy_j is None

    def test_gmt_1129_the_ends_of_a_phase_are_missing(self) -> None:
        """The answer ends between two readings; the rest of it counts as well."""
        readings = [Reading(at * 99 * MS, 99 * MS, 10_000) for at in range(1, 21)]

        result = integrate(readings, 50 * MS, 1_050 * MS, 99 * MS)

        assert result.energy_j == pytest.approx(10.0)

    def test_gmt_the_set_period_is_taken_for_the_real_one(self) -> None:
        """Each reading came 5 ms later than it should, so 20 of them are 2.08 s, not 1.98 s."""
        readings = [Reading(at * 104 * MS, 104 * MS, 10_000) for at in range(1, 21)]

        assert integrate(readings, 0, 2_080 * MS, 99 * MS).energy_j == pytest.approx(20.8)

    def test_a_missing_channel_counts_as_0_in_the_sum(self) -> None:
        silent = integrate([], 0, 990 * MS, 99 * MS, quantity=Quantity.ENERGY_UJ)
        seen = integrate([Reading(at * 99 * MS, 99 * MS, 9_900_000) for at in range(1, 11)], 0, 990 * MS, 99 * MS)
        channels = [
            IntegratedChannel(name, "rapl", "component", Quality.COMPONENT, integration)
            for name, integration in (("cpu-package-0", seen), ("cpu-package-1", silent))
        ]

        bounded = draw_boundary(channels)

        assert (bounded.energy_j, bounded.quality) == (None, "missing")
        assert bounded.missing_reason.startswith("cpu-package-1: no reading")
