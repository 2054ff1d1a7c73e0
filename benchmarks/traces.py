"""The packed form in which a channel's readings are kept, version 2; version 1 is still read.

Sampling aims at a period, power changes little from one sample to the next, and a delta of either is a small
number. So version 2 is one string of bytes (`packed`), a sequence of whole numbers in as few bytes as each needs
(LEB128: seven bits a byte, the lowest first, the highest bit set on every byte but the last; 64 bits at most). With
`n` the trace's `sample_count`, `unit` its `offset_unit_ns` and `zigzag(x) = 2x` for `x >= 0` and `-2x - 1` below:

    n numbers   zigzag(t[k] - t[k-1] - period_ns // unit), t[k] = round((at_ns[k] - first_at_ns) / unit),
                t[-1] = -(period_ns // unit), so that the first number is 0
    n numbers   zigzag(value[k] - value[k-1]), value[-1] = 0
    pairs       k and the window (ns) of each reading whose window is not the usual one, in order of k

A reading that is late, was skipped or failed makes one larger number; nothing needs a place of its own. Moments are
right to half a unit (a microsecond, or a nanosecond where two readings would fall on one microsecond). Values are
exact, and so are windows, save those that reach back to the reading before, whose ends are moments as above. No byte
depends on the machine's byte order.

`window_ns` is the usual window of the readings, or 0 where each reaches back to the reading before it (and the first
one over one period).

Version 1 has a grid of moments and two arrays in its place, with None in both where a point has no reading:

    at_ns = first_at_ns + k * period_ns + offsets[k] * offset_unit_ns
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.meters.base import SINCE_PREVIOUS, Quantity, Reading

FORMAT_VERSION = 2

_ARRAYS_VERSION = 1
_UNITS_NS = (1_000, 1)
_MAX_VALUE = 2**62  # a difference of two then fits 64 bits
_BITS = 64


class TraceError(ValueError):
    """The readings or the bytes do not make a trace."""


@dataclass(frozen=True, slots=True)
class PackedTrace:
    """A trace as it is stored; see the module's text. `first_at_ns` is on the machine's monotonic clock.

    `packed` is version 2, `offsets` and `values` are version 1.
    """

    quantity: Quantity
    period_ns: int
    window_ns: int
    first_at_ns: int
    offset_unit_ns: int
    sample_count: int
    packed: bytes = b""
    offsets: tuple[int | None, ...] = ()
    values: tuple[int | None, ...] = ()
    format_version: int = FORMAT_VERSION


def pack(
    readings: Sequence[Reading], period_ns: int, window_ns: int, quantity: Quantity = Quantity.POWER_MW
) -> PackedTrace:
    """Pack readings in order of time; `window_ns` is their usual window, or 0 (`SINCE_PREVIOUS`).

    Raises `TraceError` when there are none, when they are out of order, or when a value is beyond 62 bits.
    """
    _check_readings(readings, period_ns, window_ns)
    first_at_ns = readings[0].at_ns
    unit_ns, moments = _moments([reading.at_ns - first_at_ns for reading in readings])
    period = period_ns // unit_ns
    numbers = [_zigzag(moment - before - period) for before, moment in pairwise([-period, *moments])]
    values = [reading.value for reading in readings]
    numbers += [_zigzag(value - before) for before, value in pairwise([0, *values])]
    for index, window in _unusual_windows(readings, period_ns, window_ns):
        numbers += [index, window]
    return PackedTrace(
        quantity=quantity,
        period_ns=period_ns,
        window_ns=window_ns,
        first_at_ns=first_at_ns,
        offset_unit_ns=unit_ns,
        sample_count=len(readings),
        packed=_as_bytes(numbers),
    )


def unpack(trace: PackedTrace) -> list[Reading]:
    """Return the readings of a trace.

    Raises `TraceError` for another format version, and for bytes or arrays that are damaged.
    """
    if trace.format_version == _ARRAYS_VERSION:
        return _unpack_arrays(trace)
    if trace.format_version != FORMAT_VERSION:
        raise TraceError(f"format version {trace.format_version} is neither {_ARRAYS_VERSION} nor {FORMAT_VERSION}")
    if trace.offset_unit_ns <= 0:
        raise TraceError(f"a unit of {trace.offset_unit_ns} ns is none")
    numbers = list(_numbers(trace.packed))
    count = trace.sample_count
    if len(numbers) < 2 * count or len(numbers) % 2:
        raise TraceError(f"{len(numbers)} numbers do not make {count} samples")
    unusual = dict(zip(numbers[2 * count :: 2], numbers[2 * count + 1 :: 2], strict=True))
    period = trace.period_ns // trace.offset_unit_ns
    moment, value, before_ns = -period, 0, trace.first_at_ns - trace.period_ns
    readings = []
    for index in range(count):
        moment += period + _signed(numbers[index])
        value += _signed(numbers[count + index])
        at_ns = trace.first_at_ns + moment * trace.offset_unit_ns
        usual_ns = at_ns - before_ns if trace.window_ns == SINCE_PREVIOUS else trace.window_ns
        window_ns = unusual.get(index, usual_ns)
        if window_ns <= 0:
            raise TraceError(f"the window of sample {index} is {window_ns} ns")
        readings.append(Reading(at_ns, window_ns, value))
        before_ns = at_ns
    return readings


def _check_readings(readings: Sequence[Reading], period_ns: int, window_ns: int) -> None:
    if not readings:
        raise TraceError("a trace needs at least one reading")
    if period_ns <= 0 or window_ns < 0:
        raise TraceError(f"a period of {period_ns} ns and a window of {window_ns} ns make no trace")
    for earlier, later in pairwise(readings):
        if later.at_ns <= earlier.at_ns:
            raise TraceError(f"the reading at {later.at_ns} ns follows the one at {earlier.at_ns} ns")
    for reading in readings:
        if abs(reading.value) >= _MAX_VALUE:
            raise TraceError(f"the value {reading.value} does not fit 62 bits")


def _moments(since_first_ns: Sequence[int]) -> tuple[int, list[int]]:
    """Return the coarsest unit in which all moments stay apart, and the moments in it."""
    for unit_ns in _UNITS_NS:
        moments = [(at_ns + unit_ns // 2) // unit_ns for at_ns in since_first_ns]
        if len(set(moments)) == len(moments):
            break
    return unit_ns, moments


def _unusual_windows(readings: Sequence[Reading], period_ns: int, window_ns: int) -> Iterator[tuple[int, int]]:
    before_ns = readings[0].at_ns - period_ns
    for index, reading in enumerate(readings):
        usual_ns = reading.at_ns - before_ns if window_ns == SINCE_PREVIOUS else window_ns
        if reading.window_ns != usual_ns:
            yield index, reading.window_ns
        before_ns = reading.at_ns


def _zigzag(number: int) -> int:
    return 2 * number if number >= 0 else -2 * number - 1


def _signed(number: int) -> int:
    return -(number >> 1) - 1 if number & 1 else number >> 1


def _as_bytes(numbers: Iterable[int]) -> bytes:
    found = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            found.append(rest & 0x7F | 0x80)
            rest >>= 7
        found.append(rest)
    return bytes(found)


def _numbers(packed: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift >= _BITS:
                raise TraceError(f"a number is longer than {_BITS} bits")
            continue
        yield number
        number = shift = 0
    if shift:
        raise TraceError("the last number is cut off")


def _unpack_arrays(trace: PackedTrace) -> list[Reading]:
    """Return the readings of a trace of version 1."""
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
