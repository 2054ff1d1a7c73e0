from collections.abc import Iterable

import pytest

from benchmarks.meters.base import MeterError, Quality, Reading
from benchmarks.meters.estimate import EstimateMeter, ProcessorTimes, read_processor_times

MS = 1_000_000


def estimate(times: Iterable[tuple[float, float]], moments_ms: Iterable[int]) -> EstimateMeter:
    """Make an open meter of 30 W when idle and 130 W at full load, with given processor times and clock."""
    sources = iter([ProcessorTimes(busy_s, available_s) for busy_s, available_s in times])
    moments = iter(moments_ms)
    meter = EstimateMeter(
        tdp_w=130, idle_power_w=30, processor_times=lambda: next(sources), clock=lambda: next(moments) * MS
    )
    meter.open()
    return meter


class TestEstimateMeter:
    @pytest.mark.parametrize(
        ("busy_s", "power_mw"),
        [(0.0, 30_000), (0.1, 55_000), (0.4, 130_000), (0.41, 130_000), (-0.01, 30_000)],
        ids=["idle", "one core of four", "all cores", "counted too much", "counted backwards"],
    )
    def test_goes_from_idle_power_to_tdp_with_the_busy_share(self, busy_s: float, power_mw: int) -> None:
        meter = estimate([(5.0, 9.0), (5.0 + busy_s, 9.4)], [1_000, 1_100])

        assert meter.read() == {"machine": Reading(1_100 * MS, 100 * MS, power_mw)}

    def test_gives_windows_that_adjoin_also_after_it_was_opened_again(self) -> None:
        meter = estimate([(0, 0), (0, 1), (1, 2)], [0, 100, 250])

        first = meter.read()["machine"]
        meter.close()
        meter.open()
        second = meter.read()["machine"]

        assert second.begins_at_ns == first.at_ns

    def test_fails_when_no_time_was_counted_and_covers_it_with_the_next_reading(self) -> None:
        meter = estimate([(0, 0), (0, 0), (0.5, 1)], [0, 5, 100])

        with pytest.raises(MeterError, match="no processor time"):
            meter.read()

        assert meter.read() == {"machine": Reading(100 * MS, 100 * MS, 80_000)}

    def test_fails_before_it_is_open(self) -> None:
        with pytest.raises(MeterError, match="not open"):
            EstimateMeter(tdp_w=130, idle_power_w=30).read()

    def test_says_that_it_estimates(self) -> None:
        meter = EstimateMeter(tdp_w=130, idle_power_w=30, channel="guess")

        assert [(channel.name, channel.quality) for channel in meter.channels] == [("guess", Quality.ESTIMATED)]

    @pytest.mark.parametrize(("tdp_w", "idle_power_w"), [(30, 130), (130, -1)])
    def test_refuses_powers_that_make_no_sense(self, tdp_w: float, idle_power_w: float) -> None:
        with pytest.raises(ValueError, match="does not hold"):
            EstimateMeter(tdp_w=tdp_w, idle_power_w=idle_power_w)


class TestReadProcessorTimes:
    def test_counts_the_work_of_this_process(self) -> None:
        before = read_processor_times()
        after = before
        while after.busy_s - before.busy_s < 0.2:
            after = read_processor_times()

        # The kernel's idle and iowait times may run backwards by a few of its steps of 10 ms.
        assert after.available_s - before.available_s > 0.75 * (after.busy_s - before.busy_s)
