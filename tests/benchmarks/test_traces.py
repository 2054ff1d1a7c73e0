from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.energy import integrate
from benchmarks.meters.base import SINCE_PREVIOUS, Quantity, Reading
from benchmarks.traces import PackedTrace, TraceError, pack, unpack

MS = 1_000_000
PERIOD = 99 * MS
WINDOW = 40 * MS


def at(*moments_ns: int, window_ns: int = WINDOW) -> list[Reading]:
    return [Reading(moment_ns, window_ns, 1_000 + index) for index, moment_ns in enumerate(moments_ns)]


def adjoin(*moments_ns: int) -> list[Reading]:
    starts_ns = (moments_ns[0] - PERIOD, *moments_ns)
    return [
        Reading(moment_ns, moment_ns - start_ns, 1_000)
        for start_ns, moment_ns in zip(starts_ns, moments_ns, strict=False)
    ]


def arrays(offsets: tuple[int | None, ...], values: tuple[int | None, ...]) -> PackedTrace:
    """Make a trace of version 1."""
    return PackedTrace(
        Quantity.POWER_MW, PERIOD, WINDOW, 5 * MS, 1_000, sample_count=2, offsets=offsets, values=values,
        format_version=1,
    )  # fmt: skip


class TestPack:
    def test_writes_the_bytes_that_its_text_describes(self) -> None:
        series = [Reading(5 * MS, WINDOW, 1_000), Reading(104 * MS + 400_000, WINDOW, 998), Reading(203 * MS, 7, 998)]

        trace = pack(series, PERIOD, WINDOW)

        # 0, +400 us, -400 us; 1000, -2, 0; the third one's window is 7 ns
        numbers = bytes([0]), b"\xa0\x06", b"\x9f\x06", b"\xd0\x0f", b"\x03", b"\x00", b"\x02", b"\x07"
        assert trace == PackedTrace(
            quantity=Quantity.POWER_MW,
            period_ns=PERIOD,
            window_ns=WINDOW,
            first_at_ns=5 * MS,
            offset_unit_ns=1_000,
            sample_count=3,
            packed=b"".join(numbers),
            format_version=2,
        )

    def test_takes_four_bytes_for_a_usual_sample(self) -> None:
        moments_ns = [k * PERIOD + (k * k * 7_919) % 600_000 for k in range(600)]
        series = [Reading(at_ns, WINDOW, 90_000 + (k * 7_919) % 8_000) for k, at_ns in enumerate(moments_ns)]

        assert len(pack(series, PERIOD, WINDOW).packed) <= 4 * 600

    def test_takes_nanoseconds_where_readings_are_that_close(self) -> None:
        series = at(0, 1, 5, PERIOD)

        trace = pack(series, PERIOD, WINDOW)

        assert (trace.offset_unit_ns, unpack(trace)) == (1, series)

    @pytest.mark.parametrize("value", [2**62, -(2**62)])
    def test_refuses_a_value_beyond_62_bits(self, value: int) -> None:
        with pytest.raises(TraceError, match="62 bits"):
            pack([Reading(0, WINDOW, value)], PERIOD, WINDOW)

    def test_keeps_the_extreme_values(self) -> None:
        series = [Reading(n * PERIOD, WINDOW, value) for n, value in enumerate([2**62 - 1, 1 - 2**62, 0, 2**31])]

        assert unpack(pack(series, PERIOD, WINDOW)) == series

    @pytest.mark.parametrize(
        ("readings", "window_ns", "message"),
        [
            ([], WINDOW, "at least one"),
            (at(PERIOD, 0), WINDOW, "follows"),
            (at(PERIOD, PERIOD), WINDOW, "follows"),
            (at(0, PERIOD), -1, "make no trace"),
        ],
        ids=["none", "backwards", "twice", "negative window"],
    )
    def test_refuses_what_is_no_trace(self, readings: list[Reading], window_ns: int, message: str) -> None:
        with pytest.raises(TraceError, match=message):
            pack(readings, PERIOD, window_ns)


class TestUnpack:
    def test_gives_adjoining_windows_back(self) -> None:
        series = adjoin(0, PERIOD + 3_000, 4 * PERIOD)

        assert unpack(pack(series, PERIOD, SINCE_PREVIOUS, Quantity.ENERGY_UJ)) == series

    def test_gives_the_windows_of_a_counter_that_began_anew(self) -> None:
        series = [Reading(0, 3, 1), Reading(PERIOD, PERIOD, 2), Reading(5 * PERIOD, MS, 3), Reading(6 * PERIOD, 1, 4)]

        assert unpack(pack(series, PERIOD, SINCE_PREVIOUS, Quantity.ENERGY_UJ)) == series

    def test_reads_the_arrays_of_version_1(self) -> None:
        assert unpack(arrays((0, None, 400), (1_000, None, 1_001))) == [
            Reading(5 * MS, WINDOW, 1_000),
            Reading(5 * MS + 2 * PERIOD + 400_000, WINDOW, 1_001),
        ]

    def test_refuses_another_version(self) -> None:
        with pytest.raises(TraceError, match="version 3"):
            unpack(replace(pack(at(0), PERIOD, WINDOW), format_version=3))

    @pytest.mark.parametrize("offsets", [(0,), (0, None)], ids=["too short", "a value without an offset"])
    def test_refuses_arrays_that_do_not_belong_together(self, offsets: tuple[int | None, ...]) -> None:
        with pytest.raises(TraceError, match="offset"):
            unpack(arrays(offsets, (1, 2)))

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            ({"packed": b"\x00\x80"}, "cut off"),
            ({"packed": b"\xff" * 10 + b"\x01"}, "longer than 64 bits"),
            ({"packed": b"\x00\x00\x00"}, "do not make"),
            ({"sample_count": 3}, "do not make"),
            ({"offset_unit_ns": 0}, "is none"),
            ({"packed": b"\x00\x00\x00\x00\x01\x00"}, "window of sample 1"),
        ],
        ids=["cut off", "too long", "odd", "too few", "no unit", "no window"],
    )
    def test_refuses_damaged_bytes(self, damage: dict[str, Any], message: str) -> None:
        with pytest.raises(TraceError, match=message):
            unpack(replace(pack(at(0, PERIOD), PERIOD, WINDOW), **damage))

    def test_leaves_the_energy_as_it_was(self) -> None:
        moments_ns = [k * PERIOD + (k * k * 7_919) % 600_000 for k in range(100)]
        series = [replace(reading, value=50_000 + 37 * k) for k, reading in enumerate(adjoin(*moments_ns))]
        start_ns, stop_ns = 2 * PERIOD + 40 * MS, 97 * PERIOD + 11 * MS

        before = integrate(series, start_ns, stop_ns, PERIOD)
        after = integrate(unpack(pack(series, PERIOD, SINCE_PREVIOUS)), start_ns, stop_ns, PERIOD)

        assert after.sample_count == before.sample_count
        assert after.energy_j == pytest.approx(before.energy_j, rel=1e-5)


@pytest.mark.slow
@given(
    start_ns=st.integers(0, 10**18),
    period_ms=st.integers(1, 1_000),
    window_ns=st.sampled_from([SINCE_PREVIOUS, WINDOW]),
    samples=st.lists(
        st.tuples(st.integers(1, 10**12), st.integers(1, 10**12) | st.none(), st.integers(1 - 2**62, 2**62 - 1)),
        min_size=1,
        max_size=60,
    ),
)
def test_a_round_trip_keeps_moments_to_half_a_unit_and_all_else_exactly(
    start_ns: int, period_ms: int, window_ns: int, samples: list[tuple[int, int | None, int]]
) -> None:
    series, usual, at_ns, before_ns = [], [], start_ns, start_ns - period_ms * MS
    for distance_ns, own_ns, value in samples:
        usual_ns = at_ns - before_ns if window_ns == SINCE_PREVIOUS else window_ns
        usual.append(usual_ns)
        series.append(Reading(at_ns, usual_ns if own_ns is None else own_ns, value))
        at_ns, before_ns = at_ns + distance_ns, at_ns

    trace = pack(series, period_ms * MS, window_ns)
    found = unpack(trace)

    assert trace.sample_count == len(found) == len(series)
    for usual_ns, before, after in zip(usual, series, found, strict=True):
        assert after.value == before.value
        assert 2 * abs(after.at_ns - before.at_ns) <= trace.offset_unit_ns
        if before.window_ns != usual_ns or window_ns == WINDOW:
            assert after.window_ns == before.window_ns
        else:  # it reaches back to a moment that is right to half a unit, too
            assert abs(after.window_ns - before.window_ns) <= trace.offset_unit_ns
    assert all(earlier.at_ns < later.at_ns for earlier, later in pairwise(found))
