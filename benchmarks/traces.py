"""The packed form in which a channel's readings are kept, version 1.

Sampling aims at a grid of moments, so a trace keeps the grid once and, for each of its points, a value and
how late the reading was: 6 bytes per sample, in two arrays that SQL can unnest side by side. For point `k`,
counted from 0:

    at_ns = first_at_ns + k * period_ns + offsets[k] * offset_unit_ns

A point without a reading (a deadline that was skipped, a read that failed) has None in both arrays.
Readings do not carry their deadlines, so the grid is laid through their median lateness and an offset may
be negative.

`window_ns` is the one window of all readings, or 0 where each reaches back to the reading before it; the
window of the first one is then not kept and comes back as one period. It lies before the measured time, so
no energy depends on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from benchmarks.meters.base import SINCE_PREVIOUS, Quantity, Reading

FORMAT_VERSION = 1
MAX_GRID_POINTS = 1_000_000  # more than a day at 99 ms: the period is wrong, or two traces were mixed

_INT16_MAX = 2**15 - 1
_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1
_OFFSET_UNITS_NS = (1_000, 10_000, 100_000, 1_000_000)


class TraceError(ValueError):
    """The readings or the arrays do not make a trace."""


@dataclass(frozen=True, slots=True)
class PackedTrace:
    """A trace as it is stored; see the module's text. `first_at_ns` is on the machine's monotonic clock."""

    quantity: Quantity
    period_ns: int
    window_ns: int
    first_at_ns: int
    offset_unit_ns: int
    offsets: tuple[int | None, ...]
    values: tuple[int | None, ...]
    format_version: int = FORMAT_VERSION

    @property
    def sample_count(self) -> int:
        """Return how many readings the trace holds."""
        return len(self.values) - self.values.count(None)


def pack(
    readings: Sequence[Reading], period_ns: int, window_ns: int, quantity: Quantity = Quantity.POWER_MW
) -> PackedTrace:
    """Pack readings in order of time; `window_ns` is their common window, or 0 (`SINCE_PREVIOUS`).

    Raises `TraceError` when there are none, when they are out of order, when a value is beyond 32 bits,
    when a window is not what `window_ns` says, or when they do not fit a grid of that period.
    """
    _check_readings(readings, period_ns, window_ns)
    first_at_ns, points = _lay_grid([reading.at_ns for reading in readings], period_ns)
    places = list(zip(readings, points, strict=True))
    offsets_ns = [reading.at_ns - first_at_ns - point * period_ns for reading, point in places]
    unit_ns = _offset_unit_ns(offsets_ns)
    offsets: list[int | None] = [None] * (points[-1] + 1)
    values: list[int | None] = [None] * (points[-1] + 1)
    for (reading, point), offset_ns in zip(places, offsets_ns, strict=True):
        offsets[point] = round(offset_ns / unit_ns)
        values[point] = reading.value
    return PackedTrace(
        quantity=quantity,
        period_ns=period_ns,
        window_ns=window_ns,
        first_at_ns=first_at_ns,
        offset_unit_ns=unit_ns,
        offsets=tuple(offsets),
        values=tuple(values),
    )


def unpack(trace: PackedTrace) -> list[Reading]:
    """Return the readings of a trace; their moments are right to half an offset unit.

    Raises `TraceError` for another format version or for arrays that do not belong together.
    """
    if trace.format_version != FORMAT_VERSION:
        raise TraceError(f"format version {trace.format_version} is not {FORMAT_VERSION}")
    if len(trace.offsets) != len(trace.values):
        raise TraceError(f"{len(trace.offsets)} offsets do not fit {len(trace.values)} values")
    readings: list[Reading] = []
    for point, (offset, value) in enumerate(zip(trace.offsets, trace.values, strict=True)):
        if offset is None and value is None:
            continue
        if offset is None or value is None:
            raise TraceError(f"point {point} has an offset or a value, but not both")
        at_ns = trace.first_at_ns + point * trace.period_ns + offset * trace.offset_unit_ns
        window_ns = trace.window_ns
        if window_ns == SINCE_PREVIOUS:
            window_ns = at_ns - readings[-1].at_ns if readings else trace.period_ns
        readings.append(Reading(at_ns, window_ns, value))
    return readings


def _check_readings(readings: Sequence[Reading], period_ns: int, window_ns: int) -> None:
    if not readings:
        raise TraceError("a trace needs at least one reading")
    if period_ns <= 0 or window_ns < 0:
        raise TraceError(f"a period of {period_ns} ns and a window of {window_ns} ns make no trace")
    for earlier, later in pairwise(readings):
        if later.at_ns <= earlier.at_ns:
            raise TraceError(f"the reading at {later.at_ns} ns follows the one at {earlier.at_ns} ns")
        if window_ns == SINCE_PREVIOUS and later.begins_at_ns != earlier.at_ns:
            raise TraceError(
                f"the window of the reading at {later.at_ns} ns does not adjoin: a counter began anew before it"
            )
    for reading in readings:
        if not _INT32_MIN <= reading.value <= _INT32_MAX:
            raise TraceError(f"the value {reading.value} does not fit 32 bits")
        if window_ns not in {SINCE_PREVIOUS, reading.window_ns}:
            raise TraceError(f"the window of the reading at {reading.at_ns} ns is not {window_ns} ns")


def _lay_grid(moments_ns: Sequence[int], period_ns: int) -> tuple[int, list[int]]:
    """Return the first moment of the grid and each reading's point on it."""
    origin_ns = moments_ns[0]
    half_ns = period_ns // 2
    origin_ns += median_low((at_ns - origin_ns + half_ns) % period_ns - half_ns for at_ns in moments_ns)
    points = [(at_ns - origin_ns + half_ns) // period_ns for at_ns in moments_ns]
    # Readings are late rather than early: of two at one point, the earlier one belongs to the point before.
    for index in range(len(points) - 2, -1, -1):
        points[index] = min(points[index], points[index + 1] - 1)
    if points[-1] - points[0] >= MAX_GRID_POINTS:
        raise TraceError(f"{moments_ns[0]} to {moments_ns[-1]} ns are too many points of {period_ns} ns")
    return origin_ns + points[0] * period_ns, [point - points[0] for point in points]


def _offset_unit_ns(offsets_ns: Sequence[int]) -> int:
    """Return the finest unit in which all offsets fit 16 bits."""
    largest_ns = max(abs(offset_ns) for offset_ns in offsets_ns)
    for unit_ns in _OFFSET_UNITS_NS:
        if largest_ns <= _INT16_MAX * unit_ns:
            return unit_ns
    raise TraceError(f"a reading is {largest_ns} ns off the grid: the period is wrong")
