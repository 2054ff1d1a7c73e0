from dataclasses import replace

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


class TestPack:
    def test_keeps_the_grid_and_how_late_each_reading_was(self) -> None:
        trace = pack(at(5 * MS, 104 * MS + 400_000, 203 * MS, 302 * MS - 7_000), PERIOD, WINDOW)

        assert trace == PackedTrace(
            quantity=Quantity.POWER_MW,
            period_ns=PERIOD,
            window_ns=WINDOW,
            first_at_ns=5 * MS,
            offset_unit_ns=1_000,
            offsets=(0, 400, 0, -7),
            values=(1_000, 1_001, 1_002, 1_003),
            format_version=1,
        )

    def test_leaves_a_point_without_a_reading_empty(self) -> None:
        trace = pack(at(0, PERIOD, 4 * PERIOD), PERIOD, WINDOW)

        assert trace.values == (1_000, 1_001, None, None, 1_002)
        assert trace.offsets == (0, 0, None, None, 0)
        assert trace.sample_count == 3

    def test_puts_a_very_late_reading_at_its_own_point(self) -> None:
        # The second of five is 90 ms late, only 9 ms before the third.
        trace = pack(at(0, PERIOD + 90 * MS, 2 * PERIOD, 3 * PERIOD, 4 * PERIOD), PERIOD, WINDOW)

        assert trace.values == (1_000, 1_001, 1_002, 1_003, 1_004)
        assert trace.offsets == (0, 9_000, 0, 0, 0)
        assert trace.offset_unit_ns == 10_000

    def test_puts_a_very_late_first_reading_before_the_second(self) -> None:
        trace = pack(at(90 * MS, PERIOD, 2 * PERIOD), PERIOD, WINDOW)

        assert (trace.first_at_ns, trace.values) == (0, (1_000, 1_001, 1_002))

    @pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
    def test_refuses_a_value_beyond_32_bits(self, value: int) -> None:
        with pytest.raises(TraceError, match="32 bits"):
            pack([Reading(0, WINDOW, value)], PERIOD, WINDOW)

    @pytest.mark.parametrize("value", [2**31 - 1, -(2**31), 0])
    def test_keeps_the_extreme_values(self, value: int) -> None:
        assert unpack(pack([Reading(0, WINDOW, value)], PERIOD, WINDOW)) == [Reading(0, WINDOW, value)]

    @pytest.mark.parametrize(
        ("readings", "window_ns", "message"),
        [
            ([], WINDOW, "at least one"),
            (at(PERIOD, 0), WINDOW, "follows"),
            (at(PERIOD, PERIOD), WINDOW, "follows"),
            (at(0, PERIOD), 2 * WINDOW, "window of the reading"),
            (at(0, PERIOD), SINCE_PREVIOUS, "does not adjoin"),
            (at(0, PERIOD), -1, "make no trace"),
            (at(0, 10**7 * PERIOD), WINDOW, "too many points"),
            (at(*range(2_000)), WINDOW, "the period is wrong"),
        ],
        ids=[
            "none",
            "backwards",
            "twice",
            "window",
            "not adjoining",
            "negative window",
            "too long",
            "too dense",
        ],
    )
    def test_refuses_what_is_no_trace(self, readings: list[Reading], window_ns: int, message: str) -> None:
        with pytest.raises(TraceError, match=message):
            pack(readings, PERIOD, window_ns)


class TestUnpack:
    def test_gives_adjoining_windows_back(self) -> None:
        series = adjoin(0, PERIOD + 3_000, 4 * PERIOD)

        assert unpack(pack(series, PERIOD, SINCE_PREVIOUS, Quantity.ENERGY_UJ)) == series

    def test_refuses_another_version(self) -> None:
        with pytest.raises(TraceError, match="version 2"):
            unpack(replace(pack(at(0), PERIOD, WINDOW), format_version=2))

    @pytest.mark.parametrize("offsets", [(0,), (0, None)], ids=["too short", "a value without an offset"])
    def test_refuses_arrays_that_do_not_belong_together(self, offsets: tuple[int | None, ...]) -> None:
        with pytest.raises(TraceError, match="offset"):
            unpack(replace(pack(at(0, PERIOD), PERIOD, WINDOW), offsets=offsets))

    def test_leaves_the_energy_as_it_was(self) -> None:
        moments_ns = [k * PERIOD + (k * k * 7_919) % 600_000 for k in range(100)]
        series = [replace(reading, value=50_000 + 37 * k) for k, reading in enumerate(adjoin(*moments_ns))]
        start_ns, stop_ns = 2 * PERIOD + 40 * MS, 97 * PERIOD + 11 * MS

        before = integrate(series, start_ns, stop_ns, PERIOD)
        after = integrate(unpack(pack(series, PERIOD, SINCE_PREVIOUS)), start_ns, stop_ns, PERIOD)

        assert after.sample_count == before.sample_count
        assert after.energy_j == pytest.approx(before.energy_j, rel=1e-5)


@given(
    start_ns=st.integers(0, 10**18),
    period_ns=st.integers(10 * MS, 1_000 * MS),
    lateness=st.lists(st.tuples(st.integers(1, 4), st.floats(0, 0.99)), min_size=1, max_size=60),
    data=st.data(),
)
def test_a_round_trip_keeps_moments_to_half_a_unit_and_all_else_exactly(
    start_ns: int, period_ns: int, lateness: list[tuple[int, float]], data: st.DataObject
) -> None:
    series = []
    point = 0
    for skipped, share in lateness:
        point += skipped
        value = data.draw(st.integers(-(2**31), 2**31 - 1))
        series.append(Reading(start_ns + point * period_ns + int(share * period_ns), WINDOW, value))

    trace = pack(series, period_ns, WINDOW)
    found = unpack(trace)

    assert [(reading.value, reading.window_ns) for reading in found] == [(r.value, WINDOW) for r in series]
    assert all(
        2 * abs(after.at_ns - before.at_ns) <= trace.offset_unit_ns for after, before in zip(found, series, strict=True)
    )
    assert all(offset is None or -(2**15) <= offset < 2**15 for offset in trace.offsets)
