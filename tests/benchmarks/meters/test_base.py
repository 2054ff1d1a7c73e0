import pytest

from benchmarks.meters.base import Boundary, Channel, MeterError, MeterUnavailable, Quality, Quantity, Reading


class TestChannel:
    @pytest.mark.parametrize("name", ["machine", "package-0", "gpu-GPU-5f9a0d3c-6f1b-4c7e-9d55-2f2a6d8f1b11"])
    def test_accepts_names_of_devices(self, name: str) -> None:
        assert Channel(name, Boundary.COMPONENT, Quality.COMPONENT, Quantity.ENERGY_UJ).name == name

    @pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a" * 61, "a\n"])
    def test_refuses_names_that_make_no_file(self, name: str) -> None:
        with pytest.raises(ValueError, match="channel name"):
            Channel(name, Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW)

    def test_refuses_a_negative_window(self) -> None:
        with pytest.raises(ValueError, match="window"):
            Channel("machine", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW, window_ns=-1)


class TestReading:
    def test_tells_when_its_window_begins(self) -> None:
        assert Reading(at_ns=100, window_ns=40, value=7).begins_at_ns == 60

    @pytest.mark.parametrize("window_ns", [0, -1])
    def test_refuses_a_window_without_length(self, window_ns: int) -> None:
        with pytest.raises(ValueError, match="window"):
            Reading(at_ns=100, window_ns=window_ns, value=7)


class TestMeterUnavailable:
    def test_names_the_remedy(self) -> None:
        error = MeterUnavailable("energy_uj is not readable", remedy="add a udev rule")

        assert isinstance(error, MeterError)
        assert str(error) == "energy_uj is not readable; add a udev rule"
