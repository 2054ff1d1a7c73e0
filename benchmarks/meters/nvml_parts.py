"""Parts a counter's energy by the power that was seen meanwhile, so that the edges of a short answer are known.

A GPU renews its counter of energy every 100 ms but its power every 20 ms or so. The counter tells how much was used
between two of its renewals, the power when: each part of the window gets the energy that is its share by power. All
parts together are what the counter said, to the microjoule.
"""

from collections import deque

from benchmarks.meters.base import Reading
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

POWER_STRETCH_NS = 20 * NANOSECONDS_PER_MILLISECOND  # what a value of power stands for: the time before its renewal
MAX_LOOK_DISTANCE_NS = 15 * NANOSECONDS_PER_MILLISECOND
STEP_SHARE = 0.2  # a change of this share of the power is a step
MIN_PART_NS = 5 * NANOSECONDS_PER_MILLISECOND  # renewals are seen to about that


def renewed_at_ns(previous_ns: int | None, now_ns: int) -> int:
    """Return when a value was most likely renewed that the look before did not see, or never looked."""
    earliest_ns = now_ns - POWER_STRETCH_NS
    return (max(earliest_ns, earliest_ns if previous_ns is None else previous_ns) + now_ns) // 2


class PowerCourse:
    """The power of one GPU since the latest window that was parted."""

    def __init__(self) -> None:
        self._stretches: deque[tuple[int, int]] = deque()  # end (ns), power until there since the stretch before (mW)
        self._end_ns = 0  # of the latest stretch
        self._look_count = 0  # since the latest window
        self._looked_at_ns: int | None = None
        self._power_mw = 0

    def look(self, now_ns: int, power_mw: int) -> None:
        """Take what the card shows now; a new value was renewed half-way since the look before."""
        previous_ns, self._looked_at_ns = self._looked_at_ns, now_ns
        previous_mw, self._power_mw = self._power_mw, power_mw
        self._look_count += 1
        if previous_ns is None:
            self._end_ns = now_ns
            return
        if power_mw == previous_mw:
            while now_ns - self._end_ns >= 3 * POWER_STRETCH_NS // 2:  # renewed meanwhile, to the same value
                self._append(self._end_ns + POWER_STRETCH_NS, power_mw)
            return
        end_ns = renewed_at_ns(previous_ns, now_ns)
        if abs(power_mw - previous_mw) > STEP_SHARE * max(power_mw, previous_mw):
            # the value saw the later half of its stretch, and a step may lie anywhere in the earlier one
            self._append(end_ns - POWER_STRETCH_NS, previous_mw)
            self._append(end_ns - POWER_STRETCH_NS // 2, (previous_mw + power_mw) // 2)
        self._append(end_ns, power_mw)

    def _append(self, end_ns: int, power_mw: int) -> None:
        if end_ns > self._end_ns:
            self._stretches.append((end_ns, power_mw))
            self._end_ns = end_ns

    def part(self, reading: Reading) -> list[Reading]:
        """Return a counter's reading in parts that adjoin, one per stretch of power; forget those before its end.

        It stays whole where the looks were so far apart that they saw little more than the counter does, and that
        there would be too few reads to give all parts.
        """
        parts = self._parts(reading) if reading.window_ns <= self._look_count * MAX_LOOK_DISTANCE_NS else []
        self._look_count = 0
        while self._stretches and self._stretches[0][0] < reading.at_ns:
            self._stretches.popleft()
        total = sum(power_mw * (end_ns - begin_ns) for begin_ns, end_ns, power_mw in parts)
        if len(parts) < 2 or total <= 0:
            return [reading]
        found, weight, given_uj = [], 0, 0
        for begin_ns, end_ns, power_mw in parts:
            weight += power_mw * (end_ns - begin_ns)
            until_uj = reading.value * weight // total
            found.append(Reading(end_ns, end_ns - begin_ns, until_uj - given_uj))
            given_uj = until_uj
        return found

    def _parts(self, reading: Reading) -> list[tuple[int, int, int]]:
        """Return begin, end and power of each part; none is shorter than `MIN_PART_NS`."""
        parts = []
        begin_ns = reading.begins_at_ns
        for end_ns, power_mw in self._stretches:
            if end_ns - begin_ns >= MIN_PART_NS and reading.at_ns - end_ns >= MIN_PART_NS:
                parts.append((begin_ns, end_ns, power_mw))
                begin_ns = end_ns
            elif end_ns >= reading.at_ns - MIN_PART_NS:
                return [*parts, (begin_ns, reading.at_ns, power_mw)]
        return [*parts, (begin_ns, reading.at_ns, self._power_mw)]
