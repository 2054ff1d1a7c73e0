from pathlib import Path

import pytest

from benchmarks.meters.base import Quality
from benchmarks.meters.configuration import ConfigurationError, MeterConfiguration
from benchmarks.meters.estimate import EstimateMeter
from benchmarks.meters.kinds import make_meter
from benchmarks.meters.mcp import McpMeter
from benchmarks.meters.nvml import NvmlMeter
from benchmarks.meters.replay import ReplayMeter, Step
from benchmarks.meters.simulated_powercap import SimulatedPowercap, SimulatedZone


class TestMakeMeter:
    def test_makes_an_estimate(self) -> None:
        options = {"tdp_w": 95, "idle_power_w": 30.5, "channel": "guess"}

        meter = make_meter(MeterConfiguration("estimate", options))

        assert isinstance(meter, EstimateMeter)
        assert [channel.name for channel in meter.channels] == ["guess"]

    def test_makes_a_replay(self) -> None:
        options = {"steps": [[1, 10], [0.5, 60.0]], "is_repeated": False, "begins_at_ns": 5}

        assert isinstance(make_meter(MeterConfiguration("replay", options)), ReplayMeter)

    def test_makes_a_wall_meter(self) -> None:
        options = {"port": "/dev/ttyACM1", "outlets": [2, 1], "channel": "plug", "is_simulated": True}

        meter = make_meter(MeterConfiguration("mcp", options))

        assert isinstance(meter, McpMeter)
        assert [channel.name for channel in meter.channels] == ["plug", "outlet-1"]

    def test_makes_a_replay_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "curve.csv").write_text("time_s,power_w\n0,10\n2,50\n3,0\n")

        assert isinstance(make_meter(MeterConfiguration("replay", {"file": str(tmp_path / "curve.csv")})), ReplayMeter)

    def test_makes_a_rapl_meter(self, tmp_path: Path) -> None:
        SimulatedPowercap(tmp_path, [SimulatedZone("intel-rapl:0", "package-0", [Step(1, 10)])], begins_at_ns=0)

        meter = make_meter(MeterConfiguration("rapl", {"root": str(tmp_path), "psys": True, "max_power_w": 400}))
        meter.open()

        assert [channel.name for channel in meter.channels] == ["cpu-package-0"]

    def test_makes_an_nvml_meter_without_loading_the_library(self) -> None:
        options = {"uuids": ["GPU-1"], "power_window_ms": 10}

        assert isinstance(make_meter(MeterConfiguration("nvml", options)), NvmlMeter)

    def test_makes_a_simulated_nvml_meter_that_says_so(self) -> None:
        meter = make_meter(MeterConfiguration("simulated_nvml", {"steps": [[1, 200]], "has_counter": False}))
        meter.open()

        assert [(channel.name, channel.quality) for channel in meter.channels] == [
            ("gpu-GPU-simulated", Quality.SIMULATED)
        ]

    @pytest.mark.parametrize(
        ("kind", "options", "message"),
        [
            ("guess", {}, "known: estimate, replay, mcp, rapl, nvml"),
            ("estimate", {"tdp_w": 95}, "idle_power_w must be a number"),
            ("estimate", {"tdp_w": True, "idle_power_w": 30}, "tdp_w must be a number"),
            ("estimate", {"tdp_w": 95, "idle_power_w": 30, "tpd_w": 95}, "has no option tpd_w"),
            ("estimate", {"tdp_w": 95, "idle_power_w": 96}, "does not hold"),
            ("estimate", {"tdp_w": 95, "idle_power_w": 30, "channel": 3}, "channel must be text"),
            ("estimate", {"tdp_w": 95, "idle_power_w": 30, "channel": "a b"}, "channel name"),
            ("mcp", {"port": 1}, "port must be text"),
            ("mcp", {"outlets": 1}, "outlets must be a list of whole numbers"),
            ("mcp", {"outlets": ["1"]}, "outlets must be a list of whole numbers"),
            ("mcp", {"outlets": [1, 3]}, "are not one or both of 1 and 2"),
            ("mcp", {"outlets": []}, "are not one or both of 1 and 2"),
            ("mcp", {"accumulation_interval": 0}, "accumulation_interval: 0 is not from 1 to 8"),
            ("mcp", {"accumulation_interval": 1.5}, "accumulation_interval must be a whole number"),
            ("mcp", {"power_unit_mw": 0}, "must be above 0"),
            ("mcp", {"is_simulated": True}, "its port must be named"),
            ("replay", {}, "steps must be a list"),
            ("replay", {"file": "/no/such/file.csv"}, "meter replay: /no/such/file.csv cannot be read"),
            ("replay", {"steps": "1,10"}, "steps must be a list"),
            ("replay", {"steps": [[1, 10, 100]]}, "steps must be a list"),
            ("replay", {"steps": []}, "at least one step"),
            ("replay", {"steps": [[1, 10]], "is_repeated": 1}, "is_repeated must be true or false"),
            ("nvml", {"uuids": "GPU-1"}, "uuids must be a list of texts"),
            ("nvml", {"power_window_ms": -1}, "power window"),
            ("simulated_nvml", {"steps": []}, "at least one step"),
            ("rapl", {"psys": "yes"}, "psys must be true or false"),
            ("rapl", {"max_power_w": -1}, "max_power_w is -1"),
            ("replay", {"steps": [[1, 10]], "begins_at_ns": 1.5}, "begins_at_ns must be a whole number"),
        ],
    )
    def test_names_what_is_wrong(self, kind: str, options: dict[str, object], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            make_meter(MeterConfiguration(kind, options))
