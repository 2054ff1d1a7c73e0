from pathlib import Path

import pytest

from benchmarks.meters.replay import Step
from benchmarks.meters.simulated_nvml import SimulatedGpu, SimulatedNvml
from benchmarks.meters.temperature import HwmonThermometer, NvmlThermometer, read_all


@pytest.fixture
def hwmon(tmp_path: Path) -> Path:
    """A processor with two sensors, and a disk."""
    add_chip(tmp_path / "hwmon0", "nvme", {"temp1": ("Composite", 71_000)})
    add_chip(tmp_path / "hwmon1", "coretemp", {"temp1": ("Package id 0", 48_000), "temp2": ("", 46_500)})
    return tmp_path


def add_chip(folder: Path, name: str, sensors: dict[str, tuple[str, int]]) -> None:
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    for place, (label, millidegrees) in sensors.items():
        (folder / f"{place}_input").write_text(f"{millidegrees}\n")
        if label:
            (folder / f"{place}_label").write_text(f"{label}\n")


class TestHwmonThermometer:
    def test_reads_the_processor_and_nothing_else(self, hwmon: Path) -> None:
        assert HwmonThermometer(hwmon)() == {"coretemp Package id 0": 48.0, "coretemp temp2": 46.5}

    def test_reads_two_sockets_apart(self, hwmon: Path) -> None:
        add_chip(hwmon / "hwmon2", "coretemp", {"temp1": ("Package id 0", 52_000)})

        assert HwmonThermometer(hwmon)()["coretemp Package id 0 (hwmon2)"] == 52.0

    def test_tells_of_a_sensor_that_cannot_be_read(self, hwmon: Path) -> None:
        (hwmon / "hwmon1" / "temp2_input").write_text("")

        assert HwmonThermometer(hwmon)() == {"coretemp Package id 0": 48.0, "coretemp temp2": None}

    def test_finds_nothing_where_nothing_is(self, tmp_path: Path) -> None:
        assert HwmonThermometer(tmp_path / "hwmon")() == {}


class TestNvmlThermometer:
    @pytest.fixture
    def library(self) -> SimulatedNvml:
        return SimulatedNvml([SimulatedGpu("A", [Step(1, 1)], temperature_c=67), SimulatedGpu("B", [Step(1, 1)])])

    def test_reads_each_gpu(self, library: SimulatedNvml) -> None:
        assert NvmlThermometer(library)() == {"gpu A": 67.0, "gpu B": 45.0}

    def test_has_no_sensor_without_a_driver(self, library: SimulatedNvml) -> None:
        library.is_away = True

        assert NvmlThermometer(library)() == {}

    def test_keeps_a_gpu_that_was_lost_as_unread(self, library: SimulatedNvml) -> None:
        thermometer = NvmlThermometer(library)
        thermometer()
        library.cards["A"].is_lost = True

        assert thermometer() == {"gpu A": None, "gpu B": 45.0}

    def test_keeps_every_gpu_as_unread_while_the_driver_is_away(self, library: SimulatedNvml) -> None:
        thermometer = NvmlThermometer(library)
        thermometer()
        library.is_away = True

        assert thermometer() == {"gpu A": None, "gpu B": None}
        assert thermometer() == {"gpu A": None, "gpu B": None}
        library.is_away = False
        assert thermometer() == {"gpu A": 67.0, "gpu B": 45.0}

    def test_can_be_used_again_after_it_was_closed(self, library: SimulatedNvml) -> None:
        thermometer = NvmlThermometer(library)
        thermometer.close()

        assert thermometer()["gpu A"] == 67.0


class TestReadAll:
    def test_puts_what_several_say_together(self, hwmon: Path) -> None:
        library = SimulatedNvml([SimulatedGpu("A", [Step(1, 1)])])

        assert set(read_all((HwmonThermometer(hwmon), NvmlThermometer(library)))) == {
            "coretemp Package id 0",
            "coretemp temp2",
            "gpu A",
        }
