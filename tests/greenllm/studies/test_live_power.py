import pytest

from benchmarks.meters.base import Boundary, Channel, Quality, Quantity
from benchmarks.meters.ring import RingHeader, RingIdentity
from benchmarks.meters.ring_glance import ChannelGlance, Glance, PowerStep
from greenllm.studies.live_power import ChannelRow, live_chart, meters_without_channels, temperatures_of

SECOND = 1_000_000_000
NOW_NS = 1_000 * SECOND


def channel(*powers_mw: float, name: str = "machine", meter: str = "mcp", quality: str = "measured") -> ChannelGlance:
    """Return a channel with a step of half a second for each power, the latest of them ending now."""
    begin_ns = NOW_NS - len(powers_mw) * SECOND // 2
    steps = tuple(
        PowerStep(begin_ns + number * SECOND // 2, begin_ns + (number + 1) * SECOND // 2, power_mw)
        for number, power_mw in enumerate(powers_mw)
    )
    known = Channel(name, Boundary.MACHINE, Quality(quality), Quantity.POWER_MW)
    header = RingHeader(RingIdentity(meter, known, 30_000_000, 1, 0), 10, len(steps), NOW_NS, "")
    return ChannelGlance(header, steps, 1, len(steps), 0, is_failing=False, silent_ns=0)


class TestLiveChart:
    def test_has_a_line_for_each_channel_with_its_quality_in_watts_before_now(self) -> None:
        chart = live_chart(
            Glance((channel(50_000, 80_000), channel(9_000, name="cpu", quality="component")), ()), now_ns=NOW_NS
        )

        assert chart is not None
        machine, cpu = chart.figure["data"]
        assert (machine["name"], cpu["name"]) == ("machine (measured)", "cpu (component)")
        assert (machine["x"], machine["y"]) == ([-1.0, -0.5, 0.0], [50.0, 50.0, 80.0])
        assert chart.figure["layout"]["xaxis"]["range"] == [-60, 0]
        assert machine["line"]["color"] != cpu["line"]["color"]

    def test_is_none_without_a_reading(self) -> None:
        assert live_chart(Glance((channel(),), ()), now_ns=NOW_NS) is None
        assert live_chart(Glance((), ()), now_ns=NOW_NS) is None


class TestChannelRow:
    def test_has_the_mean_and_the_highest_power(self) -> None:
        row = ChannelRow(channel(40_000, 80_000, 60_000))
        assert (row.mean_power_mw, row.highest_power_mw, row.seen.latest_power_mw) == (60_000, 80_000, 60_000)
        assert row.period_ms == 30

    def test_knows_no_power_without_a_reading(self) -> None:
        row = ChannelRow(channel())
        assert (row.mean_power_mw, row.highest_power_mw) == (None, None)


class TestMetersWithoutChannels:
    def test_are_those_that_no_channel_is_of(self) -> None:
        assert meters_without_channels(["nvml", "mcp", "rapl"], Glance((channel(1.0),), ())) == ["nvml", "rapl"]


class TestTemperatures:
    @pytest.mark.parametrize(
        ("sensors", "expected"),
        [
            ({}, []),
            ({"coretemp Core 0": 51.0, "coretemp Core 1": 54.0}, [("CPU, coretemp Core 1", 54.0, 2)]),
            ({"coretemp Core 0": None, "coretemp Core 1": 54.0}, [("CPU, coretemp Core 1", 54.0, 2)]),
            ({"k10temp Tctl": None}, [("CPU, k10temp Tctl", None, 1)]),
            ({"gpu A": 71.0, "gpu B": None}, [("GPU A", 71.0, 1), ("GPU B", None, 1)]),
            ({"gpu A": 71.0, "k10temp Tctl": 44.0}, [("CPU, k10temp Tctl", 44.0, 1), ("GPU A", 71.0, 1)]),
        ],
        ids=["none", "hottest core", "one unreadable", "unreadable is not cold", "GPUs", "both"],
    )
    def test_are_the_hottest_of_the_processor_and_each_gpu(
        self, sensors: dict[str, float | None], expected: list[tuple[str, float | None, int]]
    ) -> None:
        assert [(one.name, one.degrees_c, one.sensor_count) for one in temperatures_of(sensors)] == expected
