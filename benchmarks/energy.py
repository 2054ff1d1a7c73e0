"""Energy of a stretch of time from the readings of one channel of a meter.

A reading is the mean of its window `[t - w, t]`. A meter may leave time between two windows unseen (40 ms
seen of every 99 ms), see it without a break, or see it twice (windows longer than the period). With `W_i`
the windows that lie wholly inside `[start, stop]`, in order of time, and `P_i` their mean powers:

    E = sum of P_i * (m_i - m_(i-1)),  m_0 = start,  m_n = stop,  m_i = (end of W_i + begin of W_(i+1)) / 2

So where windows adjoin, each value counts for its own window. Time that no window saw, or that two saw, is
divided in its middle between the two neighbours.

Why windows that reach over `start` or `stop` are left out, and the nearest inside one is held up to the
edge: at both moments the power makes a step between idle and load. A window over the step holds some of
each, and neither it nor a line between the two levels says anything about the power on the inner side of
the step.

Two cases are told apart from a good result. An answer too short for a single window inside has only windows
over its edges; they are averaged by how much of the answer each one saw, which is a rough figure and marked
so. And where more than three periods went by without a reading, the energy is missing, with the reason: not
zero, and not what the neighbours suggest, because nobody knows what the machine did meanwhile. Up to 0.15 s
are bridged in any case: a thread that reads every 11 ms is held back as long as any other. A counter of
energy that its device renews more slowly than it is read (a GPU's, every 100 ms) is held against three of
its own intervals instead. The 0.15 s are half of what is bridged at the usual 99 ms; where they are more than a
tenth of the stretch, as of an answer of 0.3 s, they make the figure a rough one, and it is marked so.

Readings whose intervals are not as they should be (95th percentile more than 20 % off) are told as irregular.
Each still counts for its own window and its own time, so that the energy stays right.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from benchmarks.meters.base import Quantity, Reading
from benchmarks.units import MICROJOULES_PER_JOULE, MILLIWATTS_PER_WATT, NANOSECONDS_PER_SECOND

MAX_PERIODS_BETWEEN_READINGS = 3
MIN_PRECISE_SAMPLE_COUNT = 10
MIN_BRIDGED_NS = 150_000_000  # reading more often shall not make more energy missing on a busy machine
MAX_BRIDGED_SHARE = 0.1  # of the stretch, where more than three periods are bridged; more is no precise figure
MAX_INTERVAL_DEVIATION = 0.2
MAX_RENEWAL_NS = 250_000_000  # no counter that we know is renewed more slowly

_MILLIWATT_NANOSECONDS_PER_JOULE = MILLIWATTS_PER_WATT * NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Integration:
    """The energy of a stretch of time, and how well it is known.

    `energy_j` and `mean_power_mw` are None when the energy is missing; `reason` then says why, and is empty
    otherwise. `sample_count` counts the readings that the energy is made of, `coverage` (0 to 1) is the
    share of the time that their windows saw. `longest_gap_ns` is 0 when there is no gap. `interval_p95_ns` is
    the 95th percentile of the time from one reading to the next, None where there are fewer than three.
    """

    energy_j: float | None
    mean_power_mw: float | None
    sample_count: int
    coverage: float
    gap_count: int
    longest_gap_ns: int
    is_low_precision: bool
    reason: str
    interval_p95_ns: int | None = None
    is_irregular: bool = False


def integrate(
    readings: Sequence[Reading],
    start_ns: int,
    stop_ns: int,
    period_ns: int,
    *,
    quantity: Quantity = Quantity.POWER_MW,
) -> Integration:
    """Integrate a channel's readings from start to stop, as the module's text says.

    `readings` are in order of time and should include the one before the start and the one after the stop.
    Their values are mean powers (mW) or energies per window (µJ), as `quantity` says. All moments are on
    one monotonic clock. Raises `ValueError` for an empty stretch, a period that is not positive, or
    readings out of order.
    """
    _check_arguments(readings, start_ns, stop_ns, period_ns)
    duration_ns = stop_ns - start_ns
    interval_ns = _interval_ns(readings, period_ns, quantity)
    limit_ns = max(MAX_PERIODS_BETWEEN_READINGS * interval_ns, MIN_BRIDGED_NS)
    used = [reading for reading in readings if start_ns <= reading.begins_at_ns and reading.at_ns <= stop_ns]
    is_straddling = not used
    if is_straddling:
        used = _straddling(readings, start_ns, stop_ns, limit_ns)
        weights_ns = [_overlap_ns(reading, start_ns, stop_ns) for reading in used]
    else:
        weights_ns = _shares_ns(used, start_ns, stop_ns)
    distances_ns = _distances_ns(readings, used, start_ns, stop_ns)
    gaps_ns = [distance_ns for distance_ns in distances_ns if not used or distance_ns > limit_ns]
    precise_ns = max(MAX_PERIODS_BETWEEN_READINGS * interval_ns, MAX_BRIDGED_SHARE * duration_ns)
    interval_p95_ns = _interval_p95_ns(readings)
    energy_j = None if gaps_ns else _energy_j(used, weights_ns, duration_ns, quantity)
    return Integration(
        energy_j=energy_j,
        mean_power_mw=None if energy_j is None else energy_j * _MILLIWATT_NANOSECONDS_PER_JOULE / duration_ns,
        sample_count=len(used),
        coverage=_covered_ns(used, start_ns, stop_ns) / duration_ns,
        gap_count=len(gaps_ns),
        longest_gap_ns=max(gaps_ns, default=0),
        is_low_precision=is_straddling or len(used) < MIN_PRECISE_SAMPLE_COUNT or max(distances_ns) > precise_ns,
        reason=_reason(gaps_ns, limit_ns),
        interval_p95_ns=interval_p95_ns,
        is_irregular=interval_p95_ns is not None
        and abs(interval_p95_ns - interval_ns) > MAX_INTERVAL_DEVIATION * interval_ns,
    )


def _check_arguments(readings: Sequence[Reading], start_ns: int, stop_ns: int, period_ns: int) -> None:
    if stop_ns <= start_ns:
        raise ValueError(f"the time from {start_ns} to {stop_ns} ns is empty")
    if period_ns <= 0:
        raise ValueError(f"the period is {period_ns} ns")
    for earlier, later in pairwise(readings):
        if later.at_ns <= earlier.at_ns:
            raise ValueError(f"the reading at {later.at_ns} ns follows the one at {earlier.at_ns} ns")


def _interval_ns(readings: Sequence[Reading], period_ns: int, quantity: Quantity) -> int:
    """Return how far apart readings are when all is well."""
    if quantity is Quantity.POWER_MW or not readings:
        return period_ns
    return max(period_ns, min(median_low(reading.window_ns for reading in readings), MAX_RENEWAL_NS))


def _overlap_ns(reading: Reading, start_ns: int, stop_ns: int) -> int:
    return max(0, min(reading.at_ns, stop_ns) - max(reading.begins_at_ns, start_ns))


def _straddling(readings: Sequence[Reading], start_ns: int, stop_ns: int, limit_ns: int) -> list[Reading]:
    """Return the readings that saw some of the time, without those that came so late that they are a gap."""
    return [
        reading
        for reading in readings
        if _overlap_ns(reading, start_ns, stop_ns) and reading.at_ns - stop_ns <= limit_ns
    ]


def _shares_ns(inside: Sequence[Reading], start_ns: int, stop_ns: int) -> list[int]:
    """Return for how much of the time each reading counts; the shares add up to all of it."""
    borders_ns = [start_ns]
    for earlier, later in pairwise(inside):
        # A window that begins before its predecessor's would otherwise give a share below zero.
        borders_ns.append(max(borders_ns[-1], (earlier.at_ns + later.begins_at_ns) // 2))
    borders_ns.append(stop_ns)
    return [end_ns - begin_ns for begin_ns, end_ns in pairwise(borders_ns)]


def _interval_p95_ns(readings: Sequence[Reading]) -> int | None:
    """Return the 95th percentile (nearest rank) of the times between readings."""
    intervals_ns = sorted(later.at_ns - earlier.at_ns for earlier, later in pairwise(readings))
    return intervals_ns[math.ceil(0.95 * len(intervals_ns)) - 1] if len(intervals_ns) > 1 else None


def _distances_ns(readings: Sequence[Reading], used: Sequence[Reading], start_ns: int, stop_ns: int) -> list[int]:
    """Return the lengths of the stretches without a reading, all of the time where none is used."""
    if not used:
        return [stop_ns - start_ns]
    moments_ns = [reading.at_ns for reading in readings if start_ns < reading.at_ns < stop_ns]
    distances_ns = [later - earlier for earlier, later in pairwise([start_ns, *moments_ns, stop_ns])]
    # The first reading may only have a window over the edge; then more is held than the way to that reading.
    distances_ns[0] = max(distances_ns[0], used[0].begins_at_ns - start_ns)
    distances_ns[-1] = max(distances_ns[-1], stop_ns - used[-1].at_ns)
    return distances_ns


def _energy_j(used: Sequence[Reading], weights_ns: Sequence[int], duration_ns: int, quantity: Quantity) -> float:
    """Return the mean of the readings' powers by weight, times the duration (J).

    Products stay whole numbers as long as possible, so that constant power gives power times time exactly.
    """
    weight_ns = sum(weights_ns)
    if quantity is Quantity.POWER_MW:
        weighted = sum(reading.value * weight for reading, weight in zip(used, weights_ns, strict=True))
        return weighted * duration_ns / (weight_ns * _MILLIWATT_NANOSECONDS_PER_JOULE)
    energy_uj = math.fsum(
        reading.value * weight / reading.window_ns for reading, weight in zip(used, weights_ns, strict=True)
    )
    return energy_uj * (duration_ns / weight_ns) / MICROJOULES_PER_JOULE


def _covered_ns(used: Sequence[Reading], start_ns: int, stop_ns: int) -> int:
    """Return how much of the time at least one of the windows saw."""
    covered_ns = 0
    seen_from_ns = stop_ns
    for reading in reversed(used):
        begin_ns = max(reading.begins_at_ns, start_ns)
        covered_ns += max(0, min(reading.at_ns, seen_from_ns) - begin_ns)
        seen_from_ns = min(seen_from_ns, begin_ns)
    return covered_ns


def _reason(gaps_ns: Sequence[int], limit_ns: int) -> str:
    if not gaps_ns:
        return ""
    longest_s, limit_s = max(gaps_ns) / NANOSECONDS_PER_SECOND, limit_ns / NANOSECONDS_PER_SECOND
    return f"no reading for {longest_s:.3g} s (at most {limit_s:.3g} s can be bridged)"
