import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.meters.ring import (
    MAGIC,
    RECORD_SIZE,
    RingFormatError,
    RingIdentity,
    RingReader,
    RingUnavailable,
    RingVanished,
    RingWriter,
    capacity_for,
)

HEADER_SIZE = 320
PERIOD = 100
CAPACITY = 8
CHANNEL = Channel("machine", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW, window_ns=40)
IDENTITY = RingIdentity("mcp", CHANNEL, PERIOD, pid=4_711, started_at_ns=50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "machine.ring"


@pytest.fixture
def writer(path: Path) -> Iterator[RingWriter]:
    ring = RingWriter(path, IDENTITY, capacity=CAPACITY)
    yield ring
    ring.close()


def write(writer: RingWriter, count: int) -> None:
    """Write readings at 100, 200, … with values 1, 2, …"""
    for number in range(1, count + 1):
        writer.write_reading(Reading(number * PERIOD, 40, number), now_ns=number * PERIOD + 1)


def values_between(path: Path, start_ns: int, stop_ns: int) -> list[int]:
    with RingReader(path) as ring:
        return [record.value for record in ring.records_between(start_ns, stop_ns).records]


def damage(path: Path, *, slot: int) -> None:
    """Change one byte of the value in a slot, as a half-written record has it."""
    with path.open("r+b") as file:
        file.seek(HEADER_SIZE + slot * RECORD_SIZE + 24)
        file.write(b"\xff")


class TestHeader:
    def test_tells_what_the_writer_was_told(self, path: Path, writer: RingWriter) -> None:
        write(writer, 3)

        with RingReader(path) as ring:
            header = ring.header()

        assert header.identity == IDENTITY
        assert (header.capacity, header.write_count, header.heartbeat_at_ns) == (CAPACITY, 3, 301)
        assert header.latest_error == ""

    def test_begins_with_its_origin_as_heartbeat(self, path: Path, writer: RingWriter) -> None:
        with RingReader(path) as ring:
            assert ring.header().heartbeat_at_ns == 50

    def test_keeps_how_late_each_read_began(self, path: Path, writer: RingWriter) -> None:
        writer.write_reading(Reading(100, 40, 7), now_ns=101, lateness_ns=1_234_567)
        writer.write_gap("timeout", now_ns=200, lateness_ns=2_000_000_000)
        with RingReader(path) as ring:
            first, second = ring.records_between(0, 1_000).records
        assert first.lateness_ns == 1_230_000
        assert second.lateness_ns == 655_350_000

    def test_has_the_documented_layout(self, path: Path, writer: RingWriter) -> None:
        write(writer, 2)

        content = path.read_bytes()

        assert content[:8] == MAGIC
        assert struct.unpack_from("<HHIQqi", content, 8) == (2, 40, CAPACITY, 2, 201, 4_711)
        assert struct.unpack_from("<qqq", content, 40) == (PERIOD, 40, 50)
        assert content[64:67] == b"mcp"
        assert content[88:95] == b"machine"
        assert struct.unpack_from("<QqqqH", content, HEADER_SIZE + RECORD_SIZE) == (1, 200, 40, 2, 0)
        assert len(content) == HEADER_SIZE + CAPACITY * RECORD_SIZE

    def test_tells_that_a_channel_is_shared(self, tmp_path: Path) -> None:
        shared = replace(CHANNEL, is_shared=True)
        RingWriter(tmp_path / "shared.ring", replace(IDENTITY, channel=shared), capacity=CAPACITY).close()

        with RingReader(tmp_path / "shared.ring") as ring:
            assert ring.header().identity.channel == shared

    def test_cuts_a_long_error(self, path: Path, writer: RingWriter) -> None:
        writer.write_gap("x" * 500, now_ns=100)
        writer.write_gap("timeout", now_ns=200)

        with RingReader(path) as ring:
            assert ring.header().latest_error == "timeout"


class TestRecordsBetween:
    def test_includes_the_reading_before_the_start_and_the_one_after_the_stop(
        self, path: Path, writer: RingWriter
    ) -> None:
        write(writer, 6)

        assert values_between(path, 250, 350) == [2, 3, 4]

    def test_counts_readings_at_the_edges_as_before_and_after(self, path: Path, writer: RingWriter) -> None:
        write(writer, 6)

        assert values_between(path, 200, 400) == [2, 3, 4]

    def test_ends_with_the_latest_when_the_stop_is_not_reached(self, path: Path, writer: RingWriter) -> None:
        write(writer, 3)

        assert values_between(path, 250, 950) == [2, 3]

    def test_begins_with_the_first_when_nothing_came_before(self, path: Path, writer: RingWriter) -> None:
        write(writer, 3)

        with RingReader(path) as ring:
            span = ring.records_between(60, 150)

        assert [record.value for record in span.records] == [1, 2]
        assert not span.is_overwritten

    def test_does_not_take_a_gap_for_a_reading(self, path: Path, writer: RingWriter) -> None:
        writer.write_reading(Reading(100, 40, 7), now_ns=101)
        writer.write_gap("timeout", now_ns=200)
        writer.write_reading(Reading(300, 40, 8), now_ns=301)
        writer.write_gap("timeout", now_ns=400)

        with RingReader(path) as ring:
            records = ring.records_between(200, 300).records

        assert [(record.at_ns, record.is_reading) for record in records] == [
            (100, True),
            (200, False),
            (300, True),
        ]

    def test_goes_around_the_end_of_the_ring(self, path: Path, writer: RingWriter) -> None:
        write(writer, 3 * CAPACITY + 2)

        assert values_between(path, 2_250, 2_550) == [22, 23, 24, 25, 26]

    def test_notices_that_older_records_are_overwritten(self, path: Path, writer: RingWriter) -> None:
        write(writer, 3 * CAPACITY)

        with RingReader(path) as ring:
            span = ring.records_between(150, 2_350)

        assert span.is_overwritten
        assert [record.value for record in span.records] == [18, 19, 20, 21, 22, 23, 24]

    def test_leaves_out_and_counts_a_torn_record(self, path: Path, writer: RingWriter) -> None:
        write(writer, 5)
        damage(path, slot=2)

        with RingReader(path) as ring:
            span = ring.records_between(150, 450)

        assert [record.value for record in span.records] == [1, 2, 4, 5]
        assert (span.torn_count, span.is_overwritten) == (1, False)

    def test_notices_a_writer_that_overtakes_the_reader(self, path: Path, writer: RingWriter) -> None:
        write(writer, CAPACITY)
        with path.open("r+b") as file:  # the count as it was before the ring went around
            file.seek(16)
            file.write(struct.pack("<Q", 4))
        content = path.read_bytes()
        newer = content[HEADER_SIZE + 7 * RECORD_SIZE :]
        with path.open("r+b") as file:
            file.seek(HEADER_SIZE + 1 * RECORD_SIZE)
            file.write(newer)

        with RingReader(path) as ring:
            span = ring.records_between(150, 350)

        assert span.is_overwritten
        assert [record.value for record in span.records] == [3, 4]

    def test_of_an_empty_ring_is_empty(self, path: Path, writer: RingWriter) -> None:
        assert values_between(path, 0, 100) == []

    def test_sees_what_is_written_while_the_ring_is_open(self, path: Path, writer: RingWriter) -> None:
        with RingReader(path) as ring:
            write(writer, 2)

            assert len(ring.records_between(50, 200).records) == 2


class TestRingWriter:
    def test_keeps_an_hour_at_its_period(self) -> None:
        assert capacity_for(99_000_000) == 36_365  # 3600 s / 99 ms rounded up, and the one that is being written

    def test_takes_its_room_at_once(self, path: Path, tmp_path: Path) -> None:
        period_ns = 99_000_000
        RingWriter(path, RingIdentity("mcp", CHANNEL, period_ns, pid=1, started_at_ns=0)).close()

        status = path.stat()
        assert status.st_blocks * 512 >= status.st_size == HEADER_SIZE + 36_365 * RECORD_SIZE
        assert status.st_mode & 0o777 == 0o600
        assert list(tmp_path.iterdir()) == [path]

    def test_names_the_remedy_when_there_is_no_room(self, path: Path, tmp_path: Path) -> None:
        with pytest.raises(RingUnavailable, match="make that tmpfs larger"):
            RingWriter(path, IDENTITY, capacity=2**55)

        assert list(tmp_path.iterdir()) == []


class TestRingReader:
    def test_notices_that_there_is_no_ring(self, path: Path) -> None:
        with pytest.raises(RingVanished):
            RingReader(path)

    @pytest.mark.parametrize(
        "content",
        [b"", b"short", b"x" * 1000, MAGIC + struct.pack("<HHI", 3, 40, 8) + bytes(624)],
        ids=["empty", "short", "something else", "another version"],
    )
    def test_refuses_what_is_no_ring(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)

        with pytest.raises(RingFormatError):
            RingReader(path)

    def test_refuses_a_ring_that_was_cut(self, path: Path, writer: RingWriter) -> None:
        path.write_bytes(path.read_bytes()[:-RECORD_SIZE])

        with pytest.raises(RingFormatError, match="room"):
            RingReader(path)


class TestThinned:
    def test_has_every_nth_record_up_to_the_latest(self, path: Path, writer: RingWriter) -> None:
        write(writer, 20)  # of which the ring of 8 keeps 7 for sure

        with RingReader(path) as ring:
            all_of_them, _ = ring.thinned(0, 100)
            some, stride = ring.thinned(0, 4)
            late, _ = ring.thinned(18 * PERIOD, 100)

        assert [record.value for record in all_of_them] == [14, 15, 16, 17, 18, 19, 20]
        assert ([record.value for record in some], stride) == ([14, 16, 18, 20], 2)
        assert [record.value for record in late] == [18, 19, 20]

    def test_leaves_a_damaged_record_out(self, path: Path, writer: RingWriter) -> None:
        write(writer, 3)
        damage(path, slot=1)

        with RingReader(path) as ring:
            assert [record.value for record in ring.thinned(0, 100)[0]] == [1, 3]

    def test_is_empty_before_the_first_record(self, path: Path, writer: RingWriter) -> None:
        with RingReader(path) as ring:
            assert ring.thinned(0, 100) == ([], 1)
