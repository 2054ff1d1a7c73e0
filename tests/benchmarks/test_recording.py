import os
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from benchmarks.meters.base import SINCE_PREVIOUS, Quality, Quantity, Reading
from benchmarks.meters.configuration import MeterConfiguration
from benchmarks.models import EnergyTrace, Machine, Measurement
from benchmarks.recording import RecordingError, SamplerRecorder, SamplesMissing, meters_of, recorder_for
from benchmarks.traces import pack

MS = 1_000_000
ESTIMATE = MeterConfiguration("estimate", {"tdp_w": 65.0, "idle_power_w": 10.0})

Record = Callable[..., SamplerRecorder]


@pytest.fixture
def recorder() -> Iterator[Record]:
    """Make recorders whose samplers end with the test."""
    made: list[SamplerRecorder] = []

    def making(*meters: MeterConfiguration) -> SamplerRecorder:
        made.append(SamplerRecorder(name=f"test-recording-{os.getpid()}-{len(made)}", meters=meters))
        return made[-1]

    yield making
    for one in made:
        one.stop()


def trace_of(readings: list[Reading], *, channel: str = "machine") -> Measurement:
    """Store a measurement with a trace of counted energies."""
    measurement = Measurement.objects.create(
        purpose=Measurement.Purpose.CALIBRATION, quality="missing", missing_reason="only its trace matters"
    )
    trace = pack(readings, 100 * MS, SINCE_PREVIOUS, Quantity.ENERGY_UJ)
    EnergyTrace.of(trace, measurement=measurement, channel=channel).save()
    return measurement


def sampler_pids() -> list[int]:
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in living if "benchmarks.meters.sampler" in child.cmdline()]


class TestSamplerRecorder:
    @pytest.mark.slow
    def test_records_every_channel_over_both_marks(self, recorder: Record) -> None:
        running = recorder(ESTIMATE, MeterConfiguration("replay", {"steps": [[1, 7]], "channel": "plug"}))
        running.ensure_running(period_ns=20 * MS)
        start_ns = time.monotonic_ns()
        stop_ns = start_ns + 60 * MS  # it waits for the time to come

        machine, plug = running.records(start_ns=start_ns, stop_ns=stop_ns)

        assert [(one.meter, one.channel.name) for one in (machine, plug)] == [
            ("estimate", "machine"), ("replay", "plug"),
        ]  # fmt: skip
        assert (machine.channel.quality, plug.channel.quality) == (Quality.ESTIMATED, Quality.SIMULATED)
        for record in (machine, plug):
            assert record.period_ns == 20 * MS
            assert record.readings[-1].at_ns >= stop_ns
        assert {reading.value for reading in plug.readings} == {7_000}

    def test_keeps_its_sampler_between_measurements(self, recorder: Record) -> None:
        running = recorder(ESTIMATE)
        running.ensure_running(period_ns=20 * MS)
        before = sampler_pids()

        running.ensure_running(period_ns=20 * MS)

        assert sampler_pids() == before
        assert len(before) == 1

    @pytest.mark.slow
    def test_starts_a_new_sampler_for_another_period(self, recorder: Record) -> None:
        running = recorder(ESTIMATE)
        running.ensure_running(period_ns=20 * MS)
        before = sampler_pids()

        running.ensure_running(period_ns=30 * MS)

        assert len(sampler_pids()) == 1
        assert sampler_pids() != before

    @pytest.mark.slow
    def test_starts_a_killed_sampler_again(self, recorder: Record) -> None:
        running = recorder(ESTIMATE)
        running.ensure_running(period_ns=20 * MS)
        (killed,) = sampler_pids()
        os.kill(killed, signal.SIGKILL)
        os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)  # its owner collects it

        running.ensure_running(period_ns=20 * MS)

        (successor,) = sampler_pids()
        assert successor != killed

    @pytest.mark.slow
    def test_says_that_samples_before_its_start_are_missing(self, recorder: Record) -> None:
        start_ns = time.monotonic_ns()
        running = recorder(ESTIMATE)
        running.ensure_running(period_ns=20 * MS)

        with pytest.raises(RecordingError, match="started after the measurement had begun") as caught:
            running.records(start_ns=start_ns, stop_ns=time.monotonic_ns())
        assert caught.value.is_retryable

    @pytest.mark.slow
    def test_tells_what_came_where_a_meter_falls_silent(self, recorder: Record) -> None:
        """Nothing of the time to come is there yet, so that no channel reaches the stop."""
        running = recorder(ESTIMATE, MeterConfiguration("replay", {"steps": [[1, 7]], "channel": "plug"}))
        running.ensure_running(period_ns=20 * MS)
        start_ns = time.monotonic_ns()

        with pytest.raises(SamplesMissing, match="no reading of machine came in time .*; no reading of plug") as caught:
            running.records(start_ns=start_ns, stop_ns=start_ns + 10**13)

        assert caught.value.is_retryable
        assert [one.channel.name for one in caught.value.came] == ["machine", "plug"]
        assert all(one.readings[-1].at_ns > start_ns for one in caught.value.came)

    def test_must_be_started_first(self, recorder: Record) -> None:
        with pytest.raises(RecordingError, match="was not started"):
            recorder(ESTIMATE).records(start_ns=1, stop_ns=2)

    def test_says_what_is_wrong_with_a_meter(self, recorder: Record) -> None:
        with pytest.raises(RecordingError, match="no meter is of kind 'wattmeter'"):
            recorder(MeterConfiguration("wattmeter")).ensure_running(period_ns=20 * MS)

    def test_refuses_a_period_that_no_sampler_keeps(self, recorder: Record) -> None:
        with pytest.raises(RecordingError, match="period_ms") as caught:
            recorder(ESTIMATE).ensure_running(period_ns=MS)
        assert not caught.value.is_retryable

    @pytest.mark.slow
    def test_stops_as_often_as_one_likes(self, recorder: Record) -> None:
        running = recorder(ESTIMATE)
        running.ensure_running(period_ns=20 * MS)

        running.stop()
        running.stop()

        assert sampler_pids() == []


class TestMetersOf:
    def test_without_any_is_the_estimate_with_the_machines_powers(self) -> None:
        machine = Machine(name="bench", thermal_design_power_w=95, idle_power_w=30)

        assert meters_of(machine) == [MeterConfiguration("estimate", {"tdp_w": 95, "idle_power_w": 30})]

    def test_are_those_of_the_row(self) -> None:
        machine = Machine(
            name="bench",
            meters=[
                {"kind": "replay", "options": {"steps": [[1, 7]]}, "period_ms": 50},
                {"kind": "estimate", "options": {"tdp_w": 20, "channel": "guess"}},
            ],
        )

        assert meters_of(machine) == [
            MeterConfiguration("replay", {"steps": [[1, 7]]}, 50),
            MeterConfiguration("estimate", {"tdp_w": 20, "idle_power_w": 10.0, "channel": "guess"}),
        ]

    @pytest.mark.django_db
    def test_play_the_trace_of_a_stored_measurement(self) -> None:
        """Counted energies: 1 J in 0.1 s and 3 J in 0.1 s."""
        readings = [Reading(at * 100 * MS, 100 * MS, value) for at, value in ((1, 5), (2, 1_000_000), (3, 3_000_000))]
        measurement = trace_of(readings, channel="cpu-package-0")
        options = {"measurement": measurement.pk, "trace_channel": "cpu-package-0", "is_repeated": False}

        (meter,) = meters_of(Machine(name="bench", meters=[{"kind": "replay", "options": options}]))

        assert meter == MeterConfiguration("replay", {"is_repeated": False, "steps": [(0.1, 10.0), (0.1, 30.0)]})

    @pytest.mark.django_db
    def test_do_not_play_a_trace_with_a_hole(self) -> None:
        measurement = trace_of(
            [Reading(at * 100 * MS, 100 * MS, 5) for at in (1, 2, 3)]
            + [Reading(900 * MS, 600 * MS, 5), Reading(1_000 * MS, 100 * MS, 5)]
        )

        with pytest.raises(RecordingError, match=r"cannot be played: nothing was recorded for 0\.6 s"):
            meters_of(Machine(meters=[{"kind": "replay", "options": {"measurement": measurement.pk}}]))

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "options", [{"measurement": 0}, {"measurement": "x"}, {"measurement": 1, "trace_channel": 3}]
    )
    def test_name_a_trace_that_is_not_there(self, options: dict[str, object]) -> None:
        with pytest.raises(RecordingError, match="there is no trace of channel") as caught:
            meters_of(Machine(meters=[{"kind": "replay", "options": options}]))
        assert not caught.value.is_retryable

    @pytest.mark.parametrize(
        "meters",
        [
            [{}],
            [{"kind": 4}],
            ["estimate"],
            "estimate",
            {"kind": "estimate"},
            [{"kind": "estimate", "period_ms": 1}],
            7,
        ],
    )
    def test_that_are_wrongly_named_fail_for_good(self, meters: object) -> None:
        with pytest.raises(RecordingError, match="^meters of the machine bench") as caught:
            recorder_for(Machine(name="bench", meters=meters))
        assert not caught.value.is_retryable
