"""The wall meter on a simulated board in simulated time; the board's port is tested in `test_board_terminal`."""

import logging
from itertools import pairwise
from random import Random

import pytest

from benchmarks.meters.base import Boundary, MeterError, MeterUnavailable, Quality, Reading
from benchmarks.meters.board_faults import BoardFault, FaultKind
from benchmarks.meters.mcp_frames import ACCUMULATION_INTERVAL, PING, RANGE_1, require_harmless
from benchmarks.meters.mcp_registers import STATUS, VERSION
from benchmarks.meters.power_curve import PowerCurve
from benchmarks.meters.simulated_board import Mains
from tests.benchmarks.meters.board_line import MS, SECOND, Bench, curve_of

FLAT = curve_of((0, 184.37))
TRIANGLE = curve_of((0, 60), (3, 260), (6, 60), is_linear=True, is_repeated=True)
# Polls come late now and then, as on a busy machine.
JITTER_MS = (0, 0, 1, 0, 3, 0, 0, 7, 0, 1)
FAULTS = [BoardFault(kind, rate=0.02) for kind in FaultKind if kind not in {FaultKind.VANISH, FaultKind.RANGE_6}]
RARE_FAULTS = [BoardFault(FaultKind.VANISH, at_s=11), BoardFault(FaultKind.RANGE_6, at_s=23)]


def opened(*curves: PowerCurve, **options: object) -> Bench:
    bench = Bench(*(curves or (FLAT,)), **options)  # type: ignore[arg-type]
    bench.meter.open()
    return bench


def misplaced(bench: Bench, curve: PowerCurve, readings: list[Reading]) -> list[Reading]:
    """Return the readings whose power was nowhere within one more window around their own."""
    found = []
    for reading in readings:
        from_ns, until_ns = reading.begins_at_ns - reading.window_ns, reading.at_ns + reading.window_ns
        powers = [
            curve.mean_power_w((at_ns - bench.begins_at_ns) / SECOND, (at_ns + MS - bench.begins_at_ns) / SECOND)
            for at_ns in range(from_ns, until_ns, 5 * MS)
        ]
        if not min(powers) - 0.01 <= reading.value / 1000 <= max(powers) + 0.01:
            found.append(reading)
    return found


class TestOpening:
    def test_asks_for_the_longest_window_that_fits_the_period(self) -> None:
        assert {
            period_ms: opened(period_ms=period_ms).board.get(ACCUMULATION_INTERVAL, 2)
            for period_ms in (20, 30, 60, 79, 81, 99, 200, 400)
        } == {20: 1, 30: 1, 60: 1, 79: 1, 81: 2, 99: 2, 200: 3, 400: 4}

    def test_takes_the_window_from_the_frequency_of_the_mains(self) -> None:
        bench = opened(period_ms=99, mains=Mains(line_frequency_hz=60.0))

        assert [channel.window_ns for channel in bench.meter.channels] == [66_666_667]

    def test_takes_the_window_that_it_is_given(self) -> None:
        bench = opened(period_ms=99, accumulation_interval=3)

        assert bench.board.get(ACCUMULATION_INTERVAL, 2) == 3
        assert bench.meter.channels[0].window_ns == 160 * MS

    def test_tells_how_the_board_was_found_and_how_it_is_used(self) -> None:
        facts = dict(opened(power_range=6).meter.facts())

        assert facts == {
            "port": "/dev/ttyACM0",
            "version": "0099",
            "is_simulated": True,
            "system_configuration": "00000000",
            "accumulation_interval": 1,
            "accumulation_interval_found": 4,
            "window_ns": 40 * MS,
            "line_frequency_hz": 50.0,
            "voltage_range": 18,
            "current_range_1": 12,
            "current_range_2": 12,
            "power_range_1": 6,
            "power_range_2": 6,
            "power_unit_mw": 10.0,
            "current_unit_ma": 0.1,
        }

    def test_refuses_ranges_that_nobody_named(self) -> None:
        bench = Bench(FLAT)
        bench.board.image[RANGE_1] = 17

        with pytest.raises(MeterUnavailable, match="voltage range is 17"):
            bench.meter.open()

    def test_takes_ranges_that_were_named(self) -> None:
        bench = Bench(FLAT, voltage_range=17)
        bench.board.image[RANGE_1] = 17

        bench.meter.open()

        assert bench.meter.facts()["voltage_range"] == 17

    def test_refuses_another_device(self) -> None:
        bench = Bench(FLAT)
        bench.line.dice.throw = lambda elapsed_s: FaultKind.NAK  # type: ignore[method-assign]

        with pytest.raises(MeterError, match="no answer"):
            bench.meter.open()

    def test_needs_mains(self) -> None:
        with pytest.raises(MeterError, match="is its inlet connected"):
            opened(mains=Mains(line_frequency_hz=0.5))

    def test_takes_bounded_time_when_the_board_is_silent(self) -> None:
        bench = Bench(FLAT, faults=[BoardFault(FaultKind.SILENCE, rate=1)])
        begun_at_ns = bench.clock()

        with pytest.raises(MeterError, match="no answer"):
            bench.meter.open()

        assert bench.clock() - begun_at_ns < 0.7 * SECOND

    @pytest.mark.parametrize("begun_ms", range(300, 1000, 50))
    def test_waits_for_the_first_window_of_the_new_length(self, begun_ms: int) -> None:
        """The load goes up shortly before; a window of the former 320 ms would still hold some idle time."""
        curve = curve_of((0, 60), (begun_ms / 1000 - 0.1, 260))
        bench = opened(curve, begins_in_ms=-begun_ms)

        assert {reading.value for reading in bench.run(1)} == {260_000}

    @pytest.mark.parametrize("left", [9, 40, 1100, 65535])
    def test_bears_an_interval_that_no_board_can_have(self, left: int) -> None:
        bench = Bench(FLAT)
        bench.board.put(ACCUMULATION_INTERVAL, 2, left)
        begun_at_ns = bench.clock()

        bench.meter.open()

        assert bench.clock() - begun_at_ns < 6 * SECOND
        assert {reading.value for reading in bench.run(1)} == {184_370}

    def test_gives_the_former_interval_back_at_the_end(self) -> None:
        bench = opened()

        bench.meter.close()

        assert bench.board.get(ACCUMULATION_INTERVAL, 2) == 4

    def test_gives_the_very_first_interval_back_after_an_unplugging(self) -> None:
        bench = opened()
        bench.board.put(ACCUMULATION_INTERVAL, 2, 4)
        bench.line.is_plugged_in = False
        bench.run(0.2)
        bench.line.is_plugged_in = True
        bench.run(1)

        bench.meter.close()

        assert bench.board.get(ACCUMULATION_INTERVAL, 2) == 4

    def test_keeps_simulated_boards_from_passing_as_measured(self) -> None:
        """Whatever carries the line: a simulated board has a version that no real one has."""
        bench = Bench(FLAT)
        bench.meter._options = type(bench.meter._options)(port="/dev/ttyACM0")

        with pytest.raises(MeterUnavailable, match="simulated one"):
            bench.meter.open()

    def test_keeps_real_boards_from_passing_as_simulated(self) -> None:
        bench = Bench(FLAT)
        bench.board.put(VERSION, 2, 0x5711)

        with pytest.raises(MeterUnavailable, match="real one"):
            bench.meter.open()


class TestChannels:
    def test_are_simulated_on_a_simulated_board(self) -> None:
        assert [channel.quality for channel in opened().meter.channels] == [Quality.SIMULATED]

    def test_put_the_second_outlet_below_the_machine(self) -> None:
        bench = opened(FLAT, curve_of((0, 20)), outlets=(1, 2))
        bench.run(1)

        assert [(channel.name, channel.boundary) for channel in bench.meter.channels] == [
            ("machine", Boundary.MACHINE),
            ("outlet-2", Boundary.COMPONENT),
        ]
        assert {reading.value for reading in bench.readings["machine"]} == {184_370}
        assert {reading.value for reading in bench.readings["outlet-2"]} == {20_000}

    def test_can_have_the_machine_on_the_second_outlet(self) -> None:
        bench = opened(curve_of((0, 20)), FLAT, outlets=(2,), channel="plug")
        bench.run(1)

        assert {reading.value for reading in bench.readings["plug"]} == {184_370}


class TestReading:
    def test_has_the_true_window(self) -> None:
        """Polled between the refreshes for a while, each reading lies within 5 ms of its accumulation."""
        bench = opened(TRIANGLE)
        readings = bench.run(10, JITTER_MS)

        settled_ns = bench.board._accumulating_since_ns
        off_ns = [(reading.at_ns - settled_ns + 20 * MS) % (40 * MS) - 20 * MS for reading in readings]
        assert max(abs(one) for one in off_ns) < 6 * MS

    @pytest.mark.parametrize("period_ms", [20, 30, 99])
    def test_never_tells_an_accumulation_twice(self, period_ms: int) -> None:
        bench = opened(TRIANGLE, period_ms=period_ms)
        readings = bench.run(20, JITTER_MS)

        window_ns = bench.meter.channels[0].window_ns
        moments = [reading.at_ns for reading in readings]
        assert len(moments) > 0.95 * 20 * SECOND / max(window_ns, period_ms * MS)
        assert min(later - earlier for earlier, later in pairwise(moments)) >= window_ns // 2
        assert len(moments) <= 20 * SECOND // window_ns + 1

    def test_of_a_load_that_never_changes_goes_on(self) -> None:
        """Nothing tells one accumulation from the next then; each window still gives one reading."""
        bench = opened(FLAT, mains=Mains(flickers=False))
        readings = bench.run(10)

        assert len(readings) == pytest.approx(250, abs=5)
        assert bench.energy_j(1, 9) == pytest.approx(184.37 * 8)

    def test_follows_a_load_that_changes_after_a_long_time(self) -> None:
        bench = opened(curve_of((0, 50), (30, 250), (31, 50)), mains=Mains(flickers=False))
        bench.run(35)

        assert bench.energy_j(30, 31) == pytest.approx(250, rel=0.05)

    def test_takes_no_longer_than_its_deadline(self) -> None:
        bench = opened(period_ms=99)
        bench.line.dice._rates = [BoardFault(FaultKind.SILENCE, rate=1)]
        begun_at_ns = bench.clock()

        with pytest.raises(MeterError):
            bench.meter.read()

        assert bench.clock() - begun_at_ns <= 105 * MS

    def test_before_opening_fails(self) -> None:
        with pytest.raises(MeterError, match="not open"):
            Bench(FLAT).meter.read()

    def test_sends_nothing_that_could_harm_a_board(self) -> None:
        bench = opened(TRIANGLE, faults=FAULTS + RARE_FAULTS)
        bench.run(30, JITTER_MS)
        bench.meter.close()

        for frame in bench.line.sent:
            require_harmless(frame)
        assert bench.board.destroyed_with == []
        assert PING in bench.line.sent

    def test_warns_once_of_a_negative_sign_and_ignores_it(self, caplog: pytest.LogCaptureFixture) -> None:
        bench = opened()
        bench.board.put(STATUS, 2, 0xE0)
        with caplog.at_level(logging.WARNING):
            readings = bench.run(1)

        assert {reading.value for reading in readings} == {184_370}
        assert [record.message for record in caplog.records] == ["outlet 1 shows a negative power; its sign is ignored"]


@pytest.mark.slow
class TestFaults:
    @pytest.mark.parametrize("kind", [fault.kind for fault in FAULTS])
    def test_alone_give_right_values_or_gaps(self, kind: FaultKind) -> None:
        bench = opened(TRIANGLE, seed=5)
        bench.line.dice._rates = [BoardFault(kind, rate=0.2)]
        readings = bench.run(30, JITTER_MS)

        assert misplaced(bench, TRIANGLE, readings) == []
        assert bench.line.dice.struck[kind] > 100
        assert len(readings) > 600
        assert bench.errors

    @pytest.mark.parametrize("kind", [fault.kind for fault in FAULTS])
    def test_that_strike_2_of_100_replies_cost_no_energy(self, kind: FaultKind) -> None:
        bench = opened(TRIANGLE, seed=5)
        bench.line.dice._rates = [BoardFault(kind, rate=0.02)]
        bench.run(62, JITTER_MS)

        assert bench.line.dice.struck[kind] > 20
        for begin_s in range(1, 56, 5):
            curve_j = TRIANGLE.energy_j(begin_s + 5) - TRIANGLE.energy_j(begin_s)
            assert bench.energy_j(begin_s, begin_s + 5) == pytest.approx(curve_j, rel=0.005)

    @pytest.mark.parametrize("seed", range(5))
    def test_all_together_give_right_values_or_gaps(self, seed: int) -> None:
        bench = opened(TRIANGLE, faults=RARE_FAULTS, seed=seed)
        bench.line.dice._rates = FAULTS
        readings = bench.run(60, JITTER_MS)

        assert misplaced(bench, TRIANGLE, readings) == []
        assert set(bench.line.dice.struck.values()).isdisjoint({0})
        assert len(readings) > 1200
        energies = [(bench.energy_j(begin, begin + 1), begin) for begin in range(1, 58)]
        known = [(energy_j, begin) for energy_j, begin in energies if energy_j is not None]
        assert len(known) > 40
        for energy_j, begin in known:
            assert energy_j == pytest.approx(TRIANGLE.energy_j(begin + 1) - TRIANGLE.energy_j(begin), rel=0.01)

    def test_never_become_zero_watts(self) -> None:
        bench = opened(FLAT, faults=RARE_FAULTS)
        bench.line.dice._rates = [BoardFault(fault.kind, rate=0.1) for fault in FAULTS]

        assert {reading.value for reading in bench.run(60)} == {184_370}

    @pytest.mark.parametrize("late_ms", [13, 20, 30, 60, 100])
    def test_late_replies_never_pass_for_the_next_ones(self, late_ms: int) -> None:
        bench = opened(TRIANGLE)
        for _ in range(40):
            bench.line.delays_ns = [late_ms * MS]
            bench.run(0.2)

        assert misplaced(bench, TRIANGLE, bench.readings["machine"]) == []

    @pytest.mark.parametrize("late_ms", [13, 50, 110, 150])
    def test_late_replies_while_opening_never_pass_for_ranges(self, late_ms: int) -> None:
        """System configuration and ranges are replies of one length; only their order tells them apart."""
        for position in range(8):
            bench = Bench(FLAT)
            bench.line.delays_ns = [0] * position + [late_ms * MS]
            bench.meter.open()

            assert bench.meter.facts()["power_range_1"] == 19
            assert bench.meter.facts()["system_configuration"] == "00000000"

    def test_comes_back_after_it_was_unplugged(self) -> None:
        bench = opened(TRIANGLE)
        bench.run(2)
        bench.line.is_plugged_in = False
        bench.run(1)
        bench.line.is_plugged_in = True
        bench.board.restart(bench.clock())
        before = len(bench.readings["machine"])
        bench.run(3)

        assert len(bench.readings["machine"]) - before > 50
        assert misplaced(bench, TRIANGLE, bench.readings["machine"]) == []
        assert bench.board.get(ACCUMULATION_INTERVAL, 2) == 1
        assert bench.energy_j(1.5, 3.5) is None
        assert "the device is gone" in bench.errors

    def test_a_power_cut_that_the_port_does_not_notice_is_noticed(self) -> None:
        """The board falls back to windows of 320 ms; from the next look at its settings on it has 40 ms again."""
        bench = opened(FLAT)
        bench.run(1)
        bench.board.restart(bench.clock())
        bench.run(8)

        assert bench.board.get(ACCUMULATION_INTERVAL, 2) == 1
        assert any("settings of the board had been changed" in error for error in bench.errors)


class TestBugsOfOthers:
    """One test for each fault of other programs that read this board, or read power as it does."""

    def test_a_board_left_in_range_6_by_another_program_reads_8192_times_too_much(self) -> None:
        bench = opened(FLAT, power_range=6)

        assert {reading.value for reading in bench.run(1)} == {184_370}
        assert bench.board.get(0x0016, 4) == 151_035_904  # what a naive driver takes for 1.5 MW

    def test_a_range_that_another_program_changes_meanwhile_makes_no_wrong_watts(self) -> None:
        bench = opened(FLAT)
        bench.run(1)
        bench.board.set_power_range(6)
        bench.run(1)
        bench.board.set_power_range(19)
        bench.run(1)

        assert {reading.value for reading in bench.readings["machine"]} == {184_370}
        assert len(bench.readings["machine"]) > 60
        assert bench.meter.facts()["power_range_1"] == 19

    def test_accumulating_a_single_cycle_gives_wrong_power_factors(self) -> None:
        assert opened(period_ms=20).board.get(ACCUMULATION_INTERVAL, 2) == 1
        with pytest.raises(ValueError, match="accumulation_interval"):
            Bench(FLAT, accumulation_interval=0)

    def test_a_read_error_returned_as_zero(self) -> None:
        bench = opened()
        bench.line.dice._rates = [BoardFault(FaultKind.SILENCE, rate=1)]

        with pytest.raises(MeterError):
            bench.meter.read()

    def test_a_refused_request_is_swallowed_until_the_time_is_over(self) -> None:
        bench = opened()
        bench.line.dice._moments = [BoardFault(FaultKind.NAK, at_s=0)]
        begun_at_ns = bench.clock()

        assert bench.meter.read()
        assert bench.clock() - begun_at_ns < 15 * MS

    def test_sporadically_broken_packets_end_the_provider(self) -> None:
        bench = opened()
        bench.line.dice._rates = [BoardFault(FaultKind.TRUNCATED, rate=0.3)]

        assert len(bench.run(10)) > 100

    def test_polls_faster_than_the_window_count_it_twice(self) -> None:
        """A peak of one window at 300 W: 12 J more than the 60 W around it hold, not 24 J."""
        curve = curve_of((0, 60), (2.0, 300), (2.04, 60))
        bench = opened(curve, period_ms=15)
        bench.run(4)

        assert bench.energy_j(1, 3) == pytest.approx(120 + 0.04 * 240, rel=0.005)

    def test_an_average_that_lags_is_taken_for_the_present(self) -> None:
        """Idle, then 1 s of load: the windows are put where they were, not where they were polled."""
        curve = curve_of((0, 60), (3.0, 220), (4.0, 60))
        bench = opened(curve)
        bench.run(6, JITTER_MS)

        assert bench.energy_j(3.0, 4.0) == pytest.approx(220, rel=0.005)

    def test_the_checksum_of_a_reply_is_ignored(self) -> None:
        bench = opened(TRIANGLE)
        bench.line.dice._rates = [BoardFault(FaultKind.WRONG_CHECKSUM, rate=0.5)]

        assert misplaced(bench, TRIANGLE, bench.run(20)) == []

    def test_the_calibration_of_the_factory_is_overwritten(self) -> None:
        bench = opened(TRIANGLE, faults=FAULTS)
        bench.run(10)
        bench.meter.close()

        assert bench.board.destroyed_with == []


def answer(random: Random, length_s: float) -> tuple[PowerCurve, float, float]:
    """Return a curve of idle, an answer made of steps, ramps and spikes, and idle; and when the answer is."""
    begin_s = 2 + random.random()
    points, level_w, now_s = [(0.0, 60.0), (begin_s, 60.0), (begin_s + 0.001, 200.0)], 200.0, begin_s + 0.001
    end_s = begin_s + length_s
    while (now_s := now_s + random.uniform(0.05, 0.6) * min(1.0, length_s)) < end_s - 0.05:
        match random.choice(("step", "ramp", "spike")):
            case "step":
                points.append((now_s, level_w))
                level_w = random.uniform(120, 260)
                points.append((now_s + 0.001, level_w))
            case "ramp":
                level_w = random.uniform(120, 260)
                points.append((now_s, level_w))
            case "spike":
                points += [(now_s, level_w), (now_s + 0.001, level_w + 80), (now_s + 0.011, level_w + 80)]
                points.append((now_s + 0.012, level_w))
        now_s += 0.012
    points += [(end_s, level_w), (end_s + 0.001, 60.0)]
    return curve_of(*points, is_linear=True), begin_s, end_s


@pytest.mark.slow
class TestEnergyOfAnAnswer:
    """The targets of the project; 20 answers each, with mains that are a little off and polls that come late."""

    @pytest.mark.parametrize(
        ("length_s", "p95", "largest"), [(0.3, 0.04, 0.08), (1, 0.01, 0.02), (5, 0.005, 0.01), (30, 0.005, 0.01)]
    )
    def test_is_that_of_the_curve(self, length_s: float, p95: float, largest: float) -> None:
        errors = []
        for seed in range(20 if length_s < 30 else 5):
            random = Random(seed)
            curve, begin_s, end_s = answer(random, length_s)
            bench = opened(curve, mains=Mains(line_frequency_hz=random.uniform(49.95, 50.05)))
            bench.run(end_s + 0.5, JITTER_MS)
            measured_j = bench.energy_j(begin_s, end_s)
            assert measured_j is not None
            errors.append(abs(measured_j / (curve.energy_j(end_s) - curve.energy_j(begin_s)) - 1))

        errors.sort()
        assert errors[-1] < largest
        assert errors[round(0.95 * len(errors)) - 1] < p95

    def test_at_99_ms_is_coarser_but_right(self) -> None:
        random = Random(1)
        curve, begin_s, end_s = answer(random, 5)
        bench = opened(curve, period_ms=99)
        bench.run(end_s + 0.5, JITTER_MS)

        measured_j = bench.energy_j(begin_s, end_s)
        assert measured_j == pytest.approx(curve.energy_j(end_s) - curve.energy_j(begin_s), rel=0.03)
