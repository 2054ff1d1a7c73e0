import pytest

from benchmarks.meters.configuration import ConfigurationError, MeterConfiguration
from benchmarks.meters.estimate import EstimateMeter
from benchmarks.meters.kinds import make_meter
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
