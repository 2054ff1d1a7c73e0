import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.energy import integrate
from benchmarks.meters.base import Boundary, MeterError, MeterUnavailable, Quality, Quantity, Reading
from benchmarks.meters.rapl import RaplMeter, read_sleep_ns
from benchmarks.meters.replay import Step
from benchmarks.meters.simulated_powercap import SimulatedPowercap, SimulatedZone
from tests.benchmarks.meters.powercap_tree import RANGE_UJ, Clock, Tree

MS = 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A desktop: a package with cores and memory."""
    made = Tree(tmp_path / "powercap")
    made.add("intel-rapl:0", "package-0", 1_000_000)
    made.add("intel-rapl:0:0", "core", 400_000)
    return made.add("intel-rapl:0:1", "dram", 50_000)


def opened(tree: Tree, clock: Clock, *, is_psys_preferred: bool = False) -> RaplMeter:
    meter = RaplMeter(root=tree.root, is_psys_preferred=is_psys_preferred, clock=clock, sleep_clock=clock.sleep_clock)
    meter.open()
    return meter


def use(tree: Tree, clock: Clock, milliseconds: float = 100, **values_uj: int) -> None:
    """Let time go by and the counters of `package`, `core`, `dram`, `psys` go to values."""
    places = {"package": "intel-rapl:0", "core": "intel-rapl:0:0", "dram": "intel-rapl:0:1", "psys": "intel-rapl:1"}
    clock.move(milliseconds)
    for name, value_uj in values_uj.items():
        tree.set(places[name], value_uj)


class TestChannels:
    def test_are_packages_and_memory_with_the_cores_below(self, tree: Tree, clock: Clock) -> None:
        channels = opened(tree, clock).channels

        assert [(channel.name, channel.boundary) for channel in channels] == [
            ("cpu-package-0", Boundary.COMPONENT),
            ("cpu-package-0-core", Boundary.PART),
            ("cpu-package-0-dram", Boundary.COMPONENT),
        ]
        assert {(channel.quality, channel.quantity) for channel in channels} == {
            (Quality.COMPONENT, Quantity.ENERGY_UJ)
        }

    def test_say_where_they_are_found(self, tree: Tree, clock: Clock) -> None:
        facts = opened(tree, clock).facts()

        assert facts["cpu-package-0-core"] == f"{tree.root}/intel-rapl:0:0 (core, part)"


class TestRead:
    def test_gives_the_energy_of_each_zone_since_the_previous_reading(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock)

        use(tree, clock, 100, package=7_000_000, core=2_400_000, dram=350_000)

        at_ns = clock.now_ns
        assert meter.read() == {
            "cpu-package-0": Reading(at_ns, 100 * MS, 6_000_000),
            "cpu-package-0-core": Reading(at_ns, 100 * MS, 2_000_000),
            "cpu-package-0-dram": Reading(at_ns, 100 * MS, 300_000),
        }

    def test_covers_the_time_of_a_failed_read_with_the_next_one(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock)
        tree.break_zone("intel-rapl:0:1")
        use(tree, clock, package=2_000_000, core=500_000)
        assert set(meter.read()) == {"cpu-package-0", "cpu-package-0-core"}

        tree.mend_zone("intel-rapl:0:1", 850_000)
        use(tree, clock, package=3_000_000)

        readings = meter.read()
        assert readings["cpu-package-0-dram"] == Reading(clock.now_ns, 200 * MS, 800_000)
        assert readings["cpu-package-0"].window_ns == 100 * MS

    def test_takes_an_idle_zone_as_read(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock)

        use(tree, clock, package=2_000_000)

        assert meter.read()["cpu-package-0-core"].value == 0

    def test_fails_when_every_zone_vanished(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock)
        shutil.rmtree(tree.root)
        clock.move(100)

        with pytest.raises(MeterError, match="cpu-package-0: .*No such file"):
            meter.read()
        with pytest.raises(MeterUnavailable, match="no RAPL zones"):
            meter.open()

    def test_goes_on_where_it_was_when_it_is_opened_again(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock)
        meter.close()
        with pytest.raises(MeterError, match="not open"):
            meter.read()

        use(tree, clock, 300, package=4_000_000)
        meter.open()

        assert meter.read()["cpu-package-0"] == Reading(clock.now_ns, 300 * MS, 3_000_000)

    def test_finds_zones_by_name_after_the_kernel_numbered_them_anew(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock)
        for place in ("intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:0"):
            shutil.rmtree(tree.folder(place))
        tree.add("intel-rapl:1", "package-0", 2_000_000)
        clock.move(100)

        meter.close()
        meter.open()

        assert meter.read() == {"cpu-package-0": Reading(clock.now_ns, 100 * MS, 1_000_000)}


class TestReset:
    def test_is_a_gap_and_counting_goes_on_after_it(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock)
        use(tree, clock, package=100, core=500_000)
        assert set(meter.read()) == {"cpu-package-0-core", "cpu-package-0-dram"}

        use(tree, clock, package=3_000_100)

        assert meter.read()["cpu-package-0"] == Reading(clock.now_ns, 100 * MS, 3_000_000)

    def test_by_a_suspend_is_a_gap_although_the_clock_stood_still(self, tree: Tree, clock: Clock) -> None:
        """The counters began anew during the night; nothing of it looks like a wrap."""
        meter = opened(tree, clock)
        clock.slept_ns += 8 * 3600 * 1000 * MS
        use(tree, clock, package=1_900_000)

        with pytest.raises(MeterError, match="was suspended"):
            meter.read()

        use(tree, clock, package=2_900_000)
        assert meter.read()["cpu-package-0"] == Reading(clock.now_ns, 100 * MS, 1_000_000)


class TestPsys:
    @pytest.fixture
    def tree(self, tree: Tree) -> Tree:
        return tree.add("intel-rapl:1", "psys", 0)

    def test_is_shown_and_not_added(self, tree: Tree, clock: Clock) -> None:
        channels = {channel.name: channel.boundary for channel in opened(tree, clock).channels}

        assert channels["psys"] is Boundary.PART
        assert channels["cpu-package-0"] is Boundary.COMPONENT

    def test_is_everything_where_it_is_preferred(self, tree: Tree, clock: Clock) -> None:
        channels = opened(tree, clock, is_psys_preferred=True).channels

        assert [channel.name for channel in channels if channel.boundary is Boundary.COMPONENT] == ["psys"]

    def test_below_its_packages_is_refused(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock, is_psys_preferred=True)
        use(tree, clock, package=11_000_000, psys=8_900_000)

        with pytest.raises(MeterError, match="less than the packages"):
            meter.read()

    def test_above_its_packages_is_read(self, tree: Tree, clock: Clock) -> None:
        meter = opened(tree, clock, is_psys_preferred=True)
        use(tree, clock, package=11_000_000, psys=12_000_000)

        assert meter.read()["psys"].value == 12_000_000


class TestUnavailable:
    def test_without_a_tree_names_the_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(MeterUnavailable, match="no RAPL zones") as caught:
            RaplMeter(root=tmp_path / "powercap").open()

        assert "intel_rapl_msr" in caught.value.remedy
        assert "virtual machine" in caught.value.remedy

    def test_without_a_zone_that_counts_names_the_remedy(self, tmp_path: Path) -> None:
        Tree(tmp_path / "powercap").add("intel-rapl:0", "something-new")

        with pytest.raises(MeterUnavailable, match="package or psys"):
            RaplMeter(root=tmp_path / "powercap").open()

    def test_refuses_a_power_that_makes_no_sense(self) -> None:
        with pytest.raises(ValueError, match="max_power_w"):
            RaplMeter(max_power_w=0)


class TestPermission:
    @pytest.fixture
    def public_tree(self) -> Iterator[Tree]:
        """A tree that a person without rights can reach; the test is that person."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        tree = Tree(folder / "powercap").add("intel-rapl:0", "package-0").add("intel-rapl:0:0", "core")
        is_root = os.geteuid() == 0
        yield tree
        if is_root:
            os.seteuid(0)
        shutil.rmtree(folder)

    @staticmethod
    def become_stranger() -> None:
        if os.geteuid() == 0:
            os.seteuid(65534)

    def test_missing_names_the_file_and_the_remedy(self, public_tree: Tree) -> None:
        (public_tree.folder("intel-rapl:0") / "energy_uj").chmod(0)
        self.become_stranger()

        with pytest.raises(MeterUnavailable, match=r"energy_uj \(package-0\) may not be read") as caught:
            RaplMeter(root=public_tree.root).open()

        assert "docs/measuring-machine.md" in caught.value.remedy

    def test_missing_for_a_part_leaves_the_part_out(self, public_tree: Tree) -> None:
        (public_tree.folder("intel-rapl:0:0") / "energy_uj").chmod(0)
        self.become_stranger()
        meter = RaplMeter(root=public_tree.root)

        meter.open()

        assert [channel.name for channel in meter.channels] == ["cpu-package-0"]


class TestSimulatedPowercap:
    STEPS = (Step(0.7, 20.0), Step(0.3, 95.0), Step(0.02, 180.0))

    def test_is_told_as_simulated_and_has_the_energy_of_its_course(self, tmp_path: Path, clock: Clock) -> None:
        """Over 5 rounds of 1.02 s the course uses 5 * (14 + 28.5 + 3.6) J; the counter wraps on the way."""
        zone = SimulatedZone("intel-rapl:0", "package-0", self.STEPS, begins_at_uj=RANGE_UJ - 60_000_000)
        start_ns = clock.now_ns
        simulated = SimulatedPowercap(tmp_path / "powercap", [zone], begins_at_ns=start_ns)
        meter = RaplMeter(root=tmp_path / "powercap", clock=clock, sleep_clock=clock.sleep_clock)
        meter.open()

        readings = []
        for _ in range(500):
            clock.move(10.2)
            simulated.advance_to(clock.now_ns)
            readings.append(meter.read()["cpu-package-0"])

        assert [channel.quality for channel in meter.channels] == [Quality.SIMULATED]
        assert all(later.begins_at_ns == earlier.at_ns for earlier, later in pairwise(readings))
        result = integrate(readings, start_ns, clock.now_ns, 10_200_000, quantity=Quantity.ENERGY_UJ)
        assert result.energy_j == pytest.approx(5 * (14 + 28.5 + 3.6), abs=0.2)


class TestReadSleep:
    def test_is_never_negative_by_more_than_a_moment(self) -> None:
        assert read_sleep_ns() > -MS
