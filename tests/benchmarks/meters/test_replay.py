from collections.abc import Iterable

import pytest

from benchmarks.meters.base import MeterError, Quality, Quantity, Reading
from benchmarks.meters.replay import PowerCourse, ReplayMeter, Step, steps_of

MS = 1_000_000
STEPS = (Step(1.0, 10.0), Step(0.5, 60.0), Step(0.5, 20.0))  # 10 J + 30 J + 10 J in 2 s


def replay(moments_ms: Iterable[int], *, is_repeated: bool = True, begins_at_ns: int | None = None) -> ReplayMeter:
    moments = iter(moments_ms)
    meter = ReplayMeter(
        steps=STEPS,
        is_repeated=is_repeated,
        begins_at_ns=begins_at_ns,
        clock=lambda: next(moments) * MS,
    )
    meter.open()
    return meter


class TestPowerCourse:
    @pytest.mark.parametrize(
        ("elapsed_s", "energy_j"),
        [(0, 0), (0.25, 2.5), (1, 10), (1.25, 25), (1.5, 40), (2, 50), (2.25, 52.5), (5, 110)],
    )
    def test_adds_up_the_energy_of_the_steps(self, elapsed_s: float, energy_j: float) -> None:
        assert PowerCourse(STEPS).energy_j(elapsed_s) == pytest.approx(energy_j)

    def test_needs_a_step(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            PowerCourse([])

    @pytest.mark.parametrize(("duration_s", "power_w"), [(0, 10), (1, -1)])
    def test_refuses_steps_that_cannot_be_played(self, duration_s: float, power_w: float) -> None:
        with pytest.raises(ValueError, match="cannot be played"):
            Step(duration_s, power_w)


class TestReplayMeter:
    def test_gives_the_mean_power_since_the_previous_reading(self) -> None:
        meter = replay([7_000, 7_500, 8_250])

        assert meter.read() == {"machine": Reading(7_500 * MS, 500 * MS, 10_000)}
        # 0.5 s at 10 W and 0.25 s at 60 W are 20 J in 0.75 s
        assert meter.read() == {"machine": Reading(8_250 * MS, 750 * MS, 26_667)}

    def test_starts_again_at_the_end(self) -> None:
        meter = replay([0, 2_000, 3_000])
        meter.read()

        assert meter.read()["machine"].value == 10_000

    def test_fails_past_the_end_when_it_is_not_repeated(self) -> None:
        meter = replay([0, 2_000, 2_001], is_repeated=False)
        meter.read()

        with pytest.raises(MeterError, match=r"nothing at 2\.001 s"):
            meter.read()

    def test_begins_at_a_given_moment(self) -> None:
        meter = replay([900, 950, 1_100], begins_at_ns=1_000 * MS)

        with pytest.raises(MeterError, match="has not begun"):
            meter.read()

        assert meter.read() == {"machine": Reading(1_100 * MS, 100 * MS, 10_000)}

    def test_goes_on_when_it_is_opened_again(self) -> None:
        meter = replay([0, 1_500])
        meter.close()
        meter.open()

        assert meter.read()["machine"].window_ns == 1_500 * MS

    def test_fails_before_it_is_open(self) -> None:
        with pytest.raises(MeterError, match="not open"):
            ReplayMeter(steps=STEPS).read()

    def test_says_that_it_simulates(self) -> None:
        assert [channel.quality for channel in ReplayMeter(steps=STEPS).channels] == [Quality.SIMULATED]


class TestStepsOf:
    def test_of_a_counter_have_its_energy(self) -> None:
        recorded = [Reading(0, 99, 1), Reading(100 * MS, 100 * MS, 2_500_000), Reading(300 * MS, 200 * MS, 10_000_000)]

        assert steps_of(recorded, quantity=Quantity.ENERGY_UJ) == [Step(0.1, 25.0), Step(0.2, 50.0)]

    def test_are_not_invented_where_nothing_was_recorded(self) -> None:
        recorded = [Reading(at * 100 * MS, 99, 1) for at in (1, 2, 3, 7, 8)]

        with pytest.raises(ValueError, match=r"nothing was recorded for 0\.4 s"):
            steps_of(recorded)

    def test_need_two_readings(self) -> None:
        with pytest.raises(ValueError, match="two readings"):
            steps_of([Reading(100, 99, 1)])

    def test_reach_from_one_reading_to_the_next(self) -> None:
        recorded = [Reading(0, 99, 1), Reading(100 * MS, 99, 25_000), Reading(300 * MS, 99, 50_000)]

        assert steps_of(recorded) == [Step(0.1, 25.0), Step(0.2, 50.0)]
