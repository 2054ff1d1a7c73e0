"""The interval in which a channel's energy lies, from what its readings did not see. Pure.

`integrate` holds the nearest reading over time that no window inside the stretch saw: the edges, and what lies
between two windows. How far that may be off is bounded by what the neighbours show:

* An edge of length L is held at power P. The window that reaches over the edge saw the edge and some of the time
  outside it; its energy less that of the outside, at the power of the reading before it, is another value of the
  edge. The interval reaches over both, and over as much again, because neither level is known to be flat.
* Between two windows the power may be anything that the two before and the two after have shown; over many holes
  such errors cancel as the square root of their number.
* The moments of windows are known to some ms, over which the power may step at the edges.

So it is a bound made of the data, not a confidence interval of known level; how often it holds the true energy is
measured by `make bench-meters`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.meters.base import Quantity, Reading
from benchmarks.units import (
    MICROJOULES_PER_JOULE,
    MILLIWATTS_PER_WATT,
    NANOSECONDS_PER_MILLISECOND,
    nanoseconds_to_seconds,
)

MOMENT_SLACK_NS = 10 * NANOSECONDS_PER_MILLISECOND


@dataclass(frozen=True, slots=True)
class EnergyInterval:
    """The energy is from `low_j` to `high_j`, never below 0."""

    low_j: float
    high_j: float


@dataclass(frozen=True, slots=True)
class _Window:
    begin_ns: int
    end_ns: int
    power_w: float


def energy_interval(
    readings: Sequence[Reading], energy_j: float, *, start_ns: int, stop_ns: int, quantity: Quantity
) -> EnergyInterval:
    """Return the interval of the energy that `integrate` made of these readings between these marks.

    Raises `ValueError` where no reading saw any of the time.
    """
    windows = [_Window(one.begins_at_ns, one.at_ns, _power_w(one, quantity)) for one in readings]
    seen = [one for one in windows if one.end_ns > start_ns and one.begin_ns < stop_ns]
    inside = [one for one in seen if one.begin_ns >= start_ns and one.end_ns <= stop_ns]
    if not seen:
        raise ValueError(f"no reading saw any of the time from {start_ns} to {stop_ns} ns")
    if not inside:  # each window holds some of what was before or after; up to all of it may have been there
        powers = [one.power_w for one in windows]
        spread_w = max(powers) - min(powers) if len(powers) > len(seen) else max(powers)
        half_j = spread_w * nanoseconds_to_seconds(stop_ns - start_ns)
    else:
        edges_j = _edge_j(windows, inside[0], start_ns, is_start=True) + _edge_j(
            windows, inside[-1], stop_ns, is_start=False
        )
        holes_j = math.sqrt(math.fsum(_hole_j(inside, place) ** 2 for place in range(1, len(inside))))
        half_j = edges_j + holes_j
    return EnergyInterval(max(0.0, energy_j - half_j), energy_j + half_j)


def _edge_j(windows: Sequence[_Window], nearest: _Window, edge_ns: int, *, is_start: bool) -> float:
    """Return how far the energy of one edge may be off (J)."""
    length_ns = nearest.begin_ns - edge_ns if is_start else edge_ns - nearest.end_ns
    over = [one for one in windows if one.begin_ns < edge_ns < one.end_ns]
    outside = [one for one in windows if (one.end_ns <= edge_ns if is_start else one.begin_ns >= edge_ns)]
    level_w = (outside[-1] if is_start else outside[0]).power_w if outside else 0.0
    slack_j = abs(nearest.power_w - level_w) * nanoseconds_to_seconds(MOMENT_SLACK_NS)
    length_s = nanoseconds_to_seconds(length_ns)
    held_j = nearest.power_w * length_s
    if not over:  # nothing looked at the edge: it may have had any power of the two sides
        return slack_j + abs(nearest.power_w - level_w) * length_s
    window = over[0]
    window_s = nanoseconds_to_seconds(window.end_ns - window.begin_ns)
    part_ns = window.end_ns - edge_ns if is_start else edge_ns - window.begin_ns
    seen_j = max(0.0, window.power_w * window_s - level_w * (window_s - nanoseconds_to_seconds(part_ns)))
    seen_j += nearest.power_w * max(0.0, length_s - nanoseconds_to_seconds(part_ns))
    return slack_j + 2 * abs(seen_j - held_j)


def _hole_j(inside: Sequence[_Window], place: int) -> float:
    """Return how far the energy of the time before a window may be off that no window saw (J)."""
    hole_ns = inside[place].begin_ns - inside[place - 1].end_ns
    if hole_ns <= 0:
        return 0.0
    powers = [one.power_w for one in inside[max(0, place - 2) : place + 2]]
    return (max(powers) - min(powers)) * nanoseconds_to_seconds(hole_ns)


def _power_w(reading: Reading, quantity: Quantity) -> float:
    if quantity is Quantity.POWER_MW:
        return reading.value / MILLIWATTS_PER_WATT
    return reading.value / MICROJOULES_PER_JOULE / nanoseconds_to_seconds(reading.window_ns)
