from pathlib import Path

from benchmarks.meters.attached import Finding, look_around, try_meter
from benchmarks.meters.base import MeterUnavailable
from benchmarks.meters.configuration import MeterConfiguration
from benchmarks.meters.replay import Step
from benchmarks.meters.simulated_nvml import SimulatedGpu, SimulatedNvml
from tests.benchmarks.meters.powercap_tree import Tree


def look(tmp_path: Path, *, nvml: SimulatedNvml | None = None, has_board: bool = False) -> dict[str, Finding]:
    def board() -> str:
        if has_board:
            return "/dev/ttyACM0"
        raise MeterUnavailable("no board is plugged in", remedy="plug it in")

    if nvml is None:
        nvml = SimulatedNvml([])
        nvml.is_away = True
    found = look_around(powercap_root=tmp_path / "powercap", hwmon_root=tmp_path / "hwmon", nvml=nvml, board=board)
    return {one.name: one for one in found}


class TestLookAround:
    def test_says_of_all_that_is_missing_why_and_what_helps(self, tmp_path: Path) -> None:
        found = look(tmp_path)
        assert len(found) == 4
        for one in found.values():
            assert not one.is_there
            assert one.detail
            assert one.remedy

    def test_finds_board_zones_gpus_and_sensors(self, tmp_path: Path) -> None:
        Tree(tmp_path / "powercap").add("intel-rapl:0", "package-0", 1).add("intel-rapl:0:0", "dram", 1)
        chip = tmp_path / "hwmon" / "hwmon0"
        chip.mkdir(parents=True)
        (chip / "name").write_text("coretemp\n")
        (chip / "temp1_input").write_text("47000\n")
        nvml = SimulatedNvml([SimulatedGpu("GPU-1", [Step(1, 50)], is_shared=True)])

        found = look(tmp_path, nvml=nvml, has_board=True)

        assert all(one.is_there for one in found.values())
        assert found["RAPL"].detail.startswith("package-0, dram in ")
        assert found["NVIDIA GPU"].detail == "Simulated GPU GPU-1, cut into instances"
        assert found["temperature sensors"].detail == "coretemp temp1 47 °C, gpu GPU-1 45 °C"

    def test_names_zones_that_may_not_be_read(self, tmp_path: Path) -> None:
        Tree(tmp_path / "powercap").add("intel-rapl:0", "package-0", 1).break_zone("intel-rapl:0")
        found = look(tmp_path)["RAPL"]
        assert not found.is_there
        assert "may not read package-0" in found.detail
        assert "docs/measuring-machine.md" in found.remedy


class TestTryMeter:
    def test_names_the_channels_and_their_quality(self) -> None:
        found = try_meter(MeterConfiguration("estimate", {"tdp_w": 60, "idle_power_w": 10}))
        assert (found.is_there, found.detail) == (True, "machine (machine, estimated)")

    def test_gives_the_remedy_of_a_meter_that_is_away(self, tmp_path: Path) -> None:
        found = try_meter(MeterConfiguration("rapl", {"root": str(tmp_path)}))
        assert (found.is_there, "no RAPL zones" in found.detail) == (False, True)
        assert found.remedy

    def test_tells_of_a_wrong_option(self) -> None:
        found = try_meter(MeterConfiguration("estimate", {"watts": 1}))
        assert not found.is_there
        assert "in the admin" in found.remedy
