from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.meters.ring import RingIdentity, RingWriter
from benchmarks.meters.ring_directory import ring_path
from benchmarks.meters.ring_glance import MAX_RECORDS, ChannelGlance, Glance, glance

MS = 1_000_000
SECOND = 1_000 * MS
NOW_NS = 100 * SECOND

Make = Callable[..., RingWriter]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def making(name: str = "machine", *, period_ms: int = 100, quantity: Quantity = Quantity.POWER_MW) -> RingWriter:
        channel = Channel(name, Boundary.MACHINE, Quality.MEASURED, quantity)
        identity = RingIdentity("plug", channel, period_ms * MS, pid=1, started_at_ns=0)
        return RingWriter(ring_path(tmp_path, name), identity)

    return making


def write(ring: RingWriter, *, from_s: float, to_s: float, value: int = 50_000, every_ms: int = 100) -> None:
    for at_ns in range(round(from_s * SECOND) + every_ms * MS, round(to_s * SECOND) + 1, every_ms * MS):
        ring.write_reading(Reading(at_ns, every_ms * MS, value), now_ns=at_ns)


def look(directory: Path, *, span_s: int = 10, max_steps: int = 20) -> Glance:
    return glance(directory, now_ns=NOW_NS, span_ns=span_s * SECOND, max_steps=max_steps)


def only(directory: Path) -> ChannelGlance:
    (channel,) = look(directory).channels
    return channel


class TestGlance:
    def test_gives_the_mean_power_of_each_part_of_the_time(self, make: Make, tmp_path: Path) -> None:
        ring = make()
        write(ring, from_s=0, to_s=95, value=40_000)
        write(ring, from_s=95, to_s=100, value=80_000)

        seen = only(tmp_path)

        assert 20 <= len(seen.steps) <= 21
        assert {step.power_mw for step in seen.steps if step.ends_at_ns <= 95 * SECOND - 1} == {40_000}
        assert (seen.latest_power_mw, seen.reading_count, seen.gap_count, seen.stride) == (80_000, 101, 0, 1)
        assert not seen.is_failing

    def test_makes_powers_of_energies(self, make: Make, tmp_path: Path) -> None:
        write(make(quantity=Quantity.ENERGY_UJ), from_s=80, to_s=100, value=2_500_000)  # 2.5 J in each 0.1 s

        assert {step.power_mw for step in only(tmp_path).steps} == {25_000}

    def test_looks_at_some_of_many_readings_the_latest_among_them(self, make: Make, tmp_path: Path) -> None:
        write(make(period_ms=10), from_s=80, to_s=100, every_ms=10)

        seen = only(tmp_path)

        assert (seen.stride, seen.reading_count) == (2, 501)
        assert seen.reading_count <= MAX_RECORDS
        assert seen.steps[-1].ends_at_ns == NOW_NS

    def test_tells_a_failing_meter_with_its_gaps_and_no_power(self, make: Make, tmp_path: Path) -> None:
        ring = make()
        write(ring, from_s=80, to_s=99)
        ring.write_gap("the port vanished", now_ns=99 * SECOND + 500 * MS)

        seen = only(tmp_path)

        assert (seen.is_failing, seen.gap_count, seen.latest_power_mw) == (True, 1, None)
        assert seen.header.latest_error == "the port vanished"

    def test_tells_for_how_long_a_sampler_has_been_silent(self, make: Make, tmp_path: Path) -> None:
        write(make(), from_s=80, to_s=93)

        seen = only(tmp_path)

        assert seen.silent_ns == 7 * SECOND
        assert seen.latest_power_mw is None
        assert seen.steps  # what it read before is still shown

    def test_has_a_channel_without_a_reading(self, make: Make, tmp_path: Path) -> None:
        make().beat(NOW_NS)

        seen = only(tmp_path)

        assert (seen.steps, seen.reading_count, seen.latest_power_mw, seen.silent_ns) == ((), 0, None, 0)

    def test_has_channels_in_order_of_their_names(self, make: Make, tmp_path: Path) -> None:
        for name in ("machine", "cpu"):
            write(make(name), from_s=99, to_s=100)

        assert [one.header.identity.channel.name for one in look(tmp_path).channels] == ["cpu", "machine"]

    def test_has_none_of_a_directory_that_is_not_there(self, tmp_path: Path) -> None:
        assert look(tmp_path / "absent") == Glance((), ())

    def test_names_a_file_that_is_no_ring_beside_the_others(self, make: Make, tmp_path: Path) -> None:
        write(make(), from_s=99, to_s=100)
        ring_path(tmp_path, "other").write_bytes(b"x" * 400)

        seen = look(tmp_path)

        assert len(seen.channels) == 1
        (problem,) = seen.problems
        assert "other.ring is not a ring of version" in problem

    def test_leaves_the_files_as_they_are(self, make: Make, tmp_path: Path) -> None:
        write(make(), from_s=99, to_s=100)
        before = ring_path(tmp_path, "machine").read_bytes()

        look(tmp_path)

        assert ring_path(tmp_path, "machine").read_bytes() == before
