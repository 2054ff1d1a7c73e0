import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.meters.base import Boundary, Channel, MeterError, Quality, Quantity, Reading
from benchmarks.meters.reading_loop import (
    FAILURES_BEFORE_REOPEN,
    MAX_REOPENS,
    MeterLost,
    ReadingLoop,
    next_deadline_ns,
)
from benchmarks.meters.ring import Record, RingIdentity, RingReader, RingWriter

PERIOD = 100
CHANNELS = tuple(
    Channel(name, Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW, window_ns=40) for name in ("one", "two")
)


class ScriptedMeter:
    """A meter of two channels that gives, or raises, what its script says, and counts how often it is opened."""

    channels = CHANNELS

    def __init__(self, *script: Mapping[str, Reading | None] | MeterError) -> None:
        self.script = list(script)
        self.open_count = 0
        self.is_openable = True

    def open(self) -> None:
        self.open_count += 1
        if not self.is_openable:
            raise MeterError("no such port")

    def read(self) -> Mapping[str, Reading | None]:
        step = self.script.pop(0) if self.script else MeterError("silence")
        if isinstance(step, MeterError):
            raise step
        return step

    def close(self) -> None:
        pass


def both(at_ns: int, value: int) -> dict[str, Reading]:
    return {"one": Reading(at_ns, 40, value), "two": Reading(at_ns, 40, 2 * value)}


@pytest.fixture
def rings(tmp_path: Path) -> Iterator[dict[str, RingWriter]]:
    writers = {
        channel.name: RingWriter(
            tmp_path / f"{channel.name}.ring",
            RingIdentity("scripted", channel, PERIOD, pid=1, started_at_ns=0),
            capacity=8,
        )
        for channel in CHANNELS
    }
    yield writers
    for writer in writers.values():
        writer.close()


def records(tmp_path: Path, name: str) -> list[Record]:
    with RingReader(tmp_path / f"{name}.ring") as ring:
        return list(ring.records_between(0, 10**9).records)


def loop_of(meter: ScriptedMeter, rings: dict[str, RingWriter]) -> ReadingLoop:
    return ReadingLoop(meter, rings, period_ns=PERIOD, origin_ns=0, clock=lambda: 1_000)


class TestNextDeadline:
    @pytest.mark.parametrize(
        ("now_ns", "deadline_ns"),
        [(7, 107), (8, 107), (106, 107), (107, 207), (450, 507)],
        ids=["origin", "just after", "just before", "on a deadline", "deadlines missed"],
    )
    def test_is_the_first_one_ahead(self, now_ns: int, deadline_ns: int) -> None:
        assert next_deadline_ns(now_ns, origin_ns=7, period_ns=PERIOD) == deadline_ns


class TestTick:
    def test_records_a_reading_for_each_channel(self, tmp_path: Path, rings: dict[str, RingWriter]) -> None:
        loop_of(ScriptedMeter(both(100, 7)), rings).tick()

        assert [record.reading() for record in records(tmp_path, "one")] == [Reading(100, 40, 7)]
        assert [record.reading() for record in records(tmp_path, "two")] == [Reading(100, 40, 14)]

    def test_records_a_failed_read_as_a_gap_for_each_channel(
        self, tmp_path: Path, rings: dict[str, RingWriter]
    ) -> None:
        loop_of(ScriptedMeter(MeterError("timeout")), rings).tick()

        for name in rings:
            assert [(record.is_reading, record.at_ns) for record in records(tmp_path, name)] == [(False, 1_000)]
            with RingReader(tmp_path / f"{name}.ring") as ring:
                assert ring.header().latest_error == "timeout"

    def test_records_a_gap_only_for_the_channel_without_a_reading(
        self, tmp_path: Path, rings: dict[str, RingWriter]
    ) -> None:
        loop_of(ScriptedMeter({"two": Reading(100, 40, 7)}), rings).tick()

        assert [record.is_reading for record in records(tmp_path, "one")] == [False]
        assert [record.is_reading for record in records(tmp_path, "two")] == [True]

    def test_records_nothing_where_the_device_has_nothing_new(
        self, tmp_path: Path, rings: dict[str, RingWriter]
    ) -> None:
        loop_of(ScriptedMeter({"one": None, "two": Reading(100, 40, 7)}), rings).tick()

        assert records(tmp_path, "one") == []
        with RingReader(tmp_path / "one.ring") as ring:
            assert (ring.header().heartbeat_at_ns, ring.header().latest_error) == (1_000, "")

    def test_opens_a_silent_meter_again_and_goes_on(self, tmp_path: Path, rings: dict[str, RingWriter]) -> None:
        failures = [MeterError("timeout")] * FAILURES_BEFORE_REOPEN
        meter = ScriptedMeter(*failures, both(2_000, 7))
        loop = loop_of(meter, rings)

        for _ in range(FAILURES_BEFORE_REOPEN + 1):
            loop.tick()

        assert meter.open_count == 1
        assert [record.is_reading for record in records(tmp_path, "one")] == [False, False, False, True]

    def test_gives_up_after_a_bounded_number_of_attempts(self, rings: dict[str, RingWriter]) -> None:
        meter = ScriptedMeter()
        meter.is_openable = False
        loop = loop_of(meter, rings)

        for _ in range(FAILURES_BEFORE_REOPEN * 2**MAX_REOPENS - 1):
            loop.tick()
        with pytest.raises(MeterLost, match="silence"):
            loop.tick()

        assert meter.open_count == MAX_REOPENS

    def test_forgets_earlier_failures_after_a_reading(self, rings: dict[str, RingWriter]) -> None:
        failures = [MeterError("timeout")] * (FAILURES_BEFORE_REOPEN - 1)
        meter = ScriptedMeter(*failures, both(100, 7), *failures)
        loop = loop_of(meter, rings)

        for _ in range(2 * FAILURES_BEFORE_REOPEN - 1):
            loop.tick()

        assert meter.open_count == 0


class TestRun:
    def test_leaves_out_the_deadlines_that_a_slow_read_missed(
        self, tmp_path: Path, rings: dict[str, RingWriter]
    ) -> None:
        """The second read takes 250 of 100; the clock moves by what each read and each wait takes."""
        stop = threading.Event()
        now = [0]

        class SlowMeter(ScriptedMeter):
            def read(self) -> Mapping[str, Reading]:
                began_at_ns = now[0]
                now[0] += 250 if began_at_ns == 2 * PERIOD else 10
                if began_at_ns >= 6 * PERIOD:
                    stop.set()
                return both(began_at_ns, 7)

        def sleep(seconds: float) -> None:
            now[0] += round(seconds * 10**9)

        ReadingLoop(SlowMeter(), rings, period_ns=PERIOD, origin_ns=0, clock=lambda: now[0], sleep=sleep).run(stop)

        assert [record.at_ns for record in records(tmp_path, "one")] == [100, 200, 500, 600]

    def test_notices_a_stop_within_a_long_period(self, tmp_path: Path, rings: dict[str, RingWriter]) -> None:
        stop, now, slept_s = threading.Event(), [1], []

        def sleep(seconds: float) -> None:
            slept_s.append(seconds)
            now[0] += round(seconds * 10**9)
            if len(slept_s) == 2:
                stop.set()

        loop = ReadingLoop(ScriptedMeter(), rings, period_ns=10**11, origin_ns=0, clock=lambda: now[0], sleep=sleep)
        loop.run(stop)

        assert slept_s == [0.25, 0.25]
        assert records(tmp_path, "one") == []

    def test_ends_at_once_when_asked_to_stop(self, tmp_path: Path, rings: dict[str, RingWriter]) -> None:
        stop = threading.Event()
        stop.set()

        ReadingLoop(ScriptedMeter(both(100, 7)), rings, period_ns=10**12, origin_ns=0).run(stop)

        assert records(tmp_path, "one") == []
