import pytest

from benchmarks.meters.configuration import (
    ConfigurationError,
    MeterConfiguration,
    SamplerConfiguration,
    readings_period_ns,
)

ESTIMATE = MeterConfiguration("estimate", {"tdp_w": 95, "idle_power_w": 30})
SLOW = MeterConfiguration("replay", {"steps": [[1, 10]]}, period_ms=250)


@pytest.mark.parametrize(
    ("meter", "period_ms", "window_ms", "wanted_ms"),
    [("rapl", 49, 49, 49), ("mcp", 30, 40, 40), ("nvml", 11, 0, 20), ("nvml", 99, 0, 99)],
)
def test_readings_come_no_more_often_than_windows_and_renewals(
    meter: str, period_ms: int, window_ms: int, wanted_ms: int
) -> None:
    found = readings_period_ns(meter, period_ns=period_ms * 10**6, window_ns=window_ms * 10**6)
    assert found == wanted_ms * 10**6


class TestSamplerConfiguration:
    def test_comes_back_from_json(self) -> None:
        configuration = SamplerConfiguration((ESTIMATE, SLOW), period_ms=50, name="lab", parent_pid=12)

        assert SamplerConfiguration.from_json(configuration.to_json()) == configuration

    def test_lets_a_meter_have_its_own_period(self) -> None:
        configuration = SamplerConfiguration((ESTIMATE, SLOW))

        assert [configuration.period_ms_of(meter) for meter in configuration.meters] == [99, 250]

    def test_reads_a_wall_meter_as_often_as_its_windows_come(self) -> None:
        meters = (ESTIMATE, MeterConfiguration("mcp"), MeterConfiguration("mcp", period_ms=99))

        for period_ms, periods_ms in ((99, [99, 30, 99]), (20, [20, 20, 99])):
            configuration = SamplerConfiguration(meters, period_ms=period_ms)
            assert [configuration.period_ms_of(meter) for meter in meters] == periods_ms

    def test_reads_a_device_as_often_as_it_needs_unless_it_is_told_how_often(self) -> None:
        often, seldom, paper = (
            MeterConfiguration("nvml"),
            MeterConfiguration("nvml", period_ms=200),
            MeterConfiguration("rapl", period_ms=99),
        )

        assert [SamplerConfiguration((one,)).period_ms_of(one) for one in (often, seldom, paper)] == [11, 200, 99]
        assert SamplerConfiguration((often,), period_ms=10).period_ms_of(often) == 10

    def test_uses_the_directory_it_is_given(self) -> None:
        assert str(SamplerConfiguration((ESTIMATE,), directory="/mnt/rings").ring_directory) == "/mnt/rings"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "not a sampler's"),
            ("[]", "not a sampler's"),
            ("{}", "meters"),
            ('{"meters": []}', "at least one"),
            ('{"meters": [{"kind": "estimate"}], "perod_ms": 9}', "perod_ms"),
            ('{"meters": [{"kind": "estimate", "option": {}}]}', "option"),
            ('{"meters": [{"kind": 5}]}', "kind"),
            ('{"meters": [{"kind": "estimate", "options": []}]}', "options"),
            ('{"meters": [{"kind": "estimate"}], "period_ms": 9}', "period_ms"),
            ('{"meters": [{"kind": "estimate"}], "period_ms": 99.5}', "period_ms"),
            ('{"meters": [{"kind": "estimate", "period_ms": 0}]}', "period_ms"),
            ('{"meters": [{"kind": "estimate"}], "name": "../lab"}', "name"),
        ],
    )
    def test_names_what_is_wrong(self, text: str, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            SamplerConfiguration.from_json(text)
