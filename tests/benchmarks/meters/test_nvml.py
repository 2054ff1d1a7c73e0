from collections.abc import Sequence
from itertools import pairwise

import pytest

from benchmarks.energy import integrate
from benchmarks.meters.base import Boundary, MeterError, MeterUnavailable, Quality, Quantity, Reading
from benchmarks.meters.nvml import NvmlMeter
from benchmarks.meters.nvml_library import NvmlError
from benchmarks.meters.replay import PowerCourse, Step
from benchmarks.meters.simulated_nvml import SimulatedGpu, SimulatedNvml
from tests.benchmarks.meters.powercap_tree import Clock

MS = 1_000_000
STEADY = (Step(1.0, 150.0),)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(library: SimulatedNvml, clock: Clock, uuids: Sequence[str] = ()) -> NvmlMeter:
    meter = NvmlMeter(library=library, uuids=uuids, quality=Quality.SIMULATED, clock=clock)
    meter.open()
    return meter


def read_for(meter: NvmlMeter, clock: Clock, milliseconds: int, name: str, period_ms: float = 19) -> list[Reading]:
    """Read at a period and return the readings of one channel."""
    readings = []
    end_ns = clock.now_ns + milliseconds * MS
    while clock.now_ns < end_ns:
        clock.move(period_ms)
        reading = meter.read().get(name)
        if reading is not None:
            readings.append(reading)
    return readings


class CounterAlone(SimulatedNvml):
    """Cards whose power cannot be had: nothing parts what their counter says."""

    def power_mw(self, uuid: str) -> int:
        raise NvmlError(f"no power of {uuid}")


class TestCounter:
    def test_gives_adjoining_windows_from_one_renewal_to_the_next(self, clock: Clock) -> None:
        meter = opened(CounterAlone([SimulatedGpu("A", STEADY)], clock=clock), clock)

        readings = read_for(meter, clock, 2_000, "gpu-A")

        assert [channel.quantity for channel in meter.channels] == [Quantity.ENERGY_UJ]
        assert len(readings) in {18, 19}
        assert all(later.begins_at_ns == earlier.at_ns for earlier, later in pairwise(readings))
        assert {reading.value for reading in readings} == {15_000_000}  # 100 ms at 150 W
        assert all(abs(reading.window_ns - 100 * MS) <= 19 * MS for reading in readings)

    def test_says_that_there_is_nothing_new_yet(self, clock: Clock) -> None:
        meter = opened(CounterAlone([SimulatedGpu("A", STEADY)], clock=clock), clock)

        clock.move(19)

        assert meter.read() == {"gpu-A": None}

    def test_that_stands_still_is_a_gap_and_never_nothing_used(self, clock: Clock) -> None:
        card = SimulatedGpu("A", STEADY, stuck_at_mj=77)
        meter = opened(CounterAlone([card], clock=clock), clock)
        meter.read()
        clock.move(1_500)

        with pytest.raises(MeterError, match="stands still"):
            meter.read()

    def test_that_began_anew_is_a_gap(self, clock: Clock) -> None:
        """Reloading the driver sets it to 0."""
        card = SimulatedGpu("A", STEADY)
        meter = opened(CounterAlone([card], clock=clock), clock)
        before = read_for(meter, clock, 500, "gpu-A")
        card.counter_offset_mj = 0
        clock.move(100)

        with pytest.raises(MeterError, match="went back"):
            meter.read()

        after = read_for(meter, clock, 500, "gpu-A")
        assert {reading.value for reading in before + after} == {15_000_000}
        assert after[0].begins_at_ns > before[-1].at_ns


class TestCounterInParts:
    """A card that has a counter and the power of a moment: the power says when the counter's energy was used."""

    STEP = (Step(1.03, 30.0), Step(0.9, 200.0), Step(1.07, 50.0))

    def read(self, clock: Clock, period_ms: float) -> list[Reading]:
        meter = opened(SimulatedNvml([SimulatedGpu("A", self.STEP)], clock=clock), clock)
        return read_for(meter, clock, 2_900, "gpu-A", period_ms)

    def test_adjoins_and_adds_up_to_what_the_counter_said(self, clock: Clock) -> None:
        begins_at_ns = clock.now_ns

        readings = self.read(clock, 11)
        while abs((readings[-1].at_ns - begins_at_ns + 50 * MS) % (100 * MS) - 50 * MS) > 6 * MS:
            readings.pop()  # the rest of the latest window was not given yet

        assert all(later.begins_at_ns == earlier.at_ns for earlier, later in pairwise(readings))
        first, last = (round((at - begins_at_ns) / (100 * MS)) for at in (readings[0].begins_at_ns, readings[-1].at_ns))
        course = PowerCourse(self.STEP)
        counted_j = course.energy_j(last / 10) - course.energy_j(first / 10)
        assert sum(reading.value for reading in readings) == pytest.approx(1e6 * counted_j, abs=2_000)

    def test_knows_the_step_to_the_renewal_of_the_power(self, clock: Clock) -> None:
        begins_at_ns = clock.now_ns

        readings = self.read(clock, 11)

        powers = [(one.at_ns - begins_at_ns, one.value / one.window_ns * 1e3) for one in readings]
        # the step lies in the counter's window from 1.0 to 1.1 s
        assert all(power_w < 60 for at_ns, power_w in powers if at_ns < 1_020 * MS)
        assert all(150 < power_w < 220 for at_ns, power_w in powers if 1_070 * MS < at_ns < 1_900 * MS)

    def test_is_whole_where_it_is_read_seldom(self, clock: Clock) -> None:
        readings = self.read(clock, 99)

        assert 25 <= len(readings) <= 29
        assert min(reading.window_ns for reading in readings) > 90 * MS

    @pytest.mark.parametrize("steps", [STEP, STEADY], ids=["steps", "steady"])
    def test_comes_at_regular_intervals(self, clock: Clock, steps: tuple[Step, ...]) -> None:
        meter = opened(SimulatedNvml([SimulatedGpu("A", steps)], clock=clock), clock)
        readings = read_for(meter, clock, 2_900, "gpu-A", 11)

        found = integrate(readings, readings[0].at_ns, readings[-1].at_ns, 20 * MS, quantity=meter.channels[0].quantity)

        assert not found.is_irregular, found.interval_p95_ns

    def test_is_whole_without_the_power(self, clock: Clock) -> None:
        library = CounterAlone([SimulatedGpu("A", self.STEP)], clock=clock)
        meter = opened(library, clock)

        readings = read_for(meter, clock, 2_900, "gpu-A", 11)

        assert {round(reading.window_ns / MS, -1) for reading in readings} <= {90, 100, 110}


class TestPower:
    """A card without a counter, as the GTX 1080."""

    def test_is_read_with_its_short_window(self, clock: Clock) -> None:
        meter = opened(SimulatedNvml([SimulatedGpu("A", STEADY, has_counter=False)], clock=clock), clock)
        clock.move(100)

        assert meter.read() == {"gpu-A": Reading(clock.now_ns - 10 * MS, 10 * MS, 150_000)}
        assert [(channel.quantity, channel.window_ns) for channel in meter.channels] == [(Quantity.POWER_MW, 10 * MS)]

    def test_is_dated_by_its_renewal_and_given_once(self, clock: Clock) -> None:
        course = (Step(0.1, 50.0), Step(0.1, 90.0), Step(0.1, 70.0))
        begins_at_ns = clock.now_ns
        meter = opened(SimulatedNvml([SimulatedGpu("A", course, has_counter=False)], clock=clock), clock)

        readings = read_for(meter, clock, 290, "gpu-A", 7)

        found = integrate(readings, readings[0].at_ns, readings[-1].at_ns, 20 * MS)
        assert not found.is_irregular, found.interval_p95_ns

        assert all(later.at_ns - earlier.at_ns >= 13 * MS for earlier, later in pairwise(readings))
        changed = [later for earlier, later in pairwise(readings) if later.value != earlier.value]
        assert [round((one.at_ns - begins_at_ns) / MS) for one in changed] == pytest.approx([120, 220], abs=4)

    def test_is_read_of_a_card_with_a_counter_where_that_is_asked_for(self, clock: Clock) -> None:
        library = SimulatedNvml([SimulatedGpu("A", STEADY)], clock=clock)
        meter = NvmlMeter(library=library, is_counter_used=False, clock=clock)
        meter.open()

        assert [channel.quantity for channel in meter.channels] == [Quantity.POWER_MW]
        assert meter.facts() == {"gpu-A": "Simulated GPU, power_mw"}

    def test_has_the_window_that_it_is_told(self, clock: Clock) -> None:
        library = SimulatedNvml([SimulatedGpu("A", STEADY, has_counter=False)], clock=clock)
        meter = NvmlMeter(library=library, power_window_ns=25 * MS, clock=clock)
        meter.open()

        assert [channel.window_ns for channel in meter.channels] == [25 * MS]


class TestGpus:
    @pytest.fixture
    def library(self, clock: Clock) -> SimulatedNvml:
        return SimulatedNvml(
            [SimulatedGpu("A", STEADY, has_counter=False), SimulatedGpu("B", (Step(1, 40.0),), has_counter=False)],
            clock=clock,
        )

    def test_are_channels_by_their_uuids(self, library: SimulatedNvml, clock: Clock) -> None:
        meter = opened(library, clock)
        clock.move(100)

        readings = meter.read()

        assert {name: reading.value for name, reading in readings.items() if reading} == {
            "gpu-A": 150_000,
            "gpu-B": 40_000,
        }
        assert {channel.boundary for channel in meter.channels} == {Boundary.COMPONENT}

    def test_may_be_some_of_them(self, library: SimulatedNvml, clock: Clock) -> None:
        assert [channel.name for channel in opened(library, clock, ["B"]).channels] == ["gpu-B"]

    def test_that_are_not_there_are_named(self, library: SimulatedNvml, clock: Clock) -> None:
        with pytest.raises(MeterUnavailable, match="no GPU C; take one of A, B"):
            opened(library, clock, ["C"])

    def test_that_fall_off_the_bus_are_gaps(self, library: SimulatedNvml, clock: Clock) -> None:
        meter = opened(library, clock)
        library.cards["A"].is_lost = True
        clock.move(100)

        assert set(meter.read()) == {"gpu-B"}
        library.cards["B"].is_lost = True
        with pytest.raises(MeterError, match="gpu-A: NVML: GPU is lost; gpu-B"):
            meter.read()

    def test_keep_their_channels_when_one_is_gone_after_opening_anew(
        self, library: SimulatedNvml, clock: Clock
    ) -> None:
        meter = opened(library, clock)
        library.cards["A"].is_lost = True
        meter.close()
        meter.open()
        clock.move(100)

        assert set(meter.read()) == {"gpu-B"}
        assert [channel.name for channel in meter.channels] == ["gpu-A", "gpu-B"]

    def test_cut_into_instances_are_shared(self, clock: Clock) -> None:
        library = SimulatedNvml([SimulatedGpu("A", STEADY, is_shared=True), SimulatedGpu("B", STEADY)], clock=clock)

        assert [channel.is_shared for channel in opened(library, clock).channels] == [True, False]


class TestUnavailable:
    def test_without_a_driver_names_the_remedy(self, clock: Clock) -> None:
        library = SimulatedNvml([SimulatedGpu("A", STEADY)], clock=clock)
        library.is_away = True

        with pytest.raises(MeterUnavailable, match="Driver Not Loaded; load the NVIDIA driver"):
            opened(library, clock)

    def test_without_a_gpu_says_so(self, clock: Clock) -> None:
        with pytest.raises(MeterUnavailable, match="knows no GPU"):
            opened(SimulatedNvml([], clock=clock), clock)

    def test_for_a_while_is_a_gap_and_comes_back(self, clock: Clock) -> None:
        library = SimulatedNvml([SimulatedGpu("A", STEADY, has_counter=False)], clock=clock)
        meter = opened(library, clock)
        library.is_away = True
        with pytest.raises(MeterError, match="Uninitialized"):
            meter.read()

        library.is_away = False
        meter.close()
        with pytest.raises(MeterError, match="not open"):
            meter.read()
        meter.open()
        clock.move(100)

        assert set(meter.read()) == {"gpu-A"}

    def test_refuses_a_window_that_is_none(self) -> None:
        with pytest.raises(ValueError, match="power window"):
            NvmlMeter(power_window_ns=-1)


ANSWER = (Step(1.0, 30.0), Step(0.6, 180.0), Step(0.4, 140.0), Step(0.05, 320.0), Step(3.95, 170.0), Step(1.0, 30.0))


class TestEnergy:
    """The energy of an answer of 5 s between two stretches of idle, at many phases against the driver."""

    @pytest.mark.parametrize("has_counter", [True, False], ids=["counter", "power"])
    @pytest.mark.parametrize("phase_ms", range(0, 100, 7))
    def test_of_an_answer_is_that_of_the_course(self, clock: Clock, has_counter: bool, phase_ms: int) -> None:
        library = SimulatedNvml([SimulatedGpu("A", ANSWER, has_counter=has_counter)], clock=clock)
        begins_at_ns = clock.now_ns
        meter = opened(library, clock)
        clock.move(phase_ms)
        readings = read_for(meter, clock, 6_700, "gpu-A")
        start_ns, stop_ns = begins_at_ns + 1_000 * MS, begins_at_ns + 6_000 * MS
        truth_j = PowerCourse(ANSWER).energy_j(6.0) - PowerCourse(ANSWER).energy_j(1.0)

        result = integrate(readings, start_ns, stop_ns, 19 * MS, quantity=meter.channels[0].quantity)

        assert result.energy_j == pytest.approx(truth_j, rel=0.01)
        assert result.gap_count == 0
