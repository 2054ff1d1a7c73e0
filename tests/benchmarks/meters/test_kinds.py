import pytest

from benchmarks.meters.configuration import ConfigurationError, MeterConfiguration
from benchmarks.meters.estimate import EstimateMeter
from benchmarks.meters.kinds import make_meter
from benchmarks.meters.mcp import McpMeter
from benchmarks.meters.replay import ReplayMeter


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

    @pytest.mark.parametrize(
        ("kind", "options", "message"),
        [
            ("guess", {}, "known: estimate, replay"),
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
            ("replay", {"steps": "1,10"}, "steps must be a list"),
            ("replay", {"steps": [[1, 10, 100]]}, "steps must be a list"),
            ("replay", {"steps": []}, "at least one step"),
            ("replay", {"steps": [[1, 10]], "is_repeated": 1}, "is_repeated must be true or false"),
            ("replay", {"steps": [[1, 10]], "begins_at_ns": 1.5}, "begins_at_ns must be a whole number"),
        ],
    )
    def test_names_what_is_wrong(self, kind: str, options: dict[str, object], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            make_meter(MeterConfiguration(kind, options))
