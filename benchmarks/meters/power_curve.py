"""A course of power over time that a simulated device shows, with its exact energy; pure."""

import csv
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise


class PowerCurveError(ValueError):
    """The points make no curve; the message names the line or the point."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The power (W) at, or from, a moment (s)."""

    time_s: float
    power_w: float


class PowerCurve:
    """Power between points: held until the next point, or a straight line to it with `is_linear`.

    The curve begins at time 0 with the first point's power. After its last point the last power is held, or
    the curve begins again with `is_repeated`.
    """

    def __init__(self, points: Sequence[CurvePoint], *, is_linear: bool = False, is_repeated: bool = False) -> None:
        if not points:
            raise PowerCurveError("a curve needs at least one point")
        if points[0].time_s > 0:
            points = [CurvePoint(0.0, points[0].power_w), *points]
        for earlier, later in pairwise(points):
            if later.time_s <= earlier.time_s:
                raise PowerCurveError(f"the point at {later.time_s:g} s follows the one at {earlier.time_s:g} s")
        wrong = [point for point in points if not (0 <= point.power_w < float("inf") and point.time_s >= 0)]
        if wrong:
            raise PowerCurveError(f"{wrong[0].power_w:g} W at {wrong[0].time_s:g} s cannot be played")
        if is_repeated and points[-1].time_s <= 0:
            raise PowerCurveError("a curve that repeats needs a length: give it a second point")
        self._points = list(points)
        self._times_s = [point.time_s for point in points]
        self._is_linear, self._is_repeated = is_linear, is_repeated
        parts_j = (
            (later.time_s - earlier.time_s) * ((earlier.power_w + later.power_w) / 2 if is_linear else earlier.power_w)
            for earlier, later in pairwise(points)
        )
        self._energies_j = list(accumulate(parts_j, initial=0.0))

    @property
    def duration_s(self) -> float:
        """Return when the last point is (s)."""
        return self._times_s[-1]

    def energy_j(self, elapsed_s: float) -> float:
        """Return the energy (J) from time 0 to `elapsed_s`."""
        if self._is_repeated:
            passes, elapsed_s = divmod(elapsed_s, self.duration_s)
            return passes * self._energies_j[-1] + self._energy_within_j(elapsed_s)
        return self._energy_within_j(elapsed_s)

    def mean_power_w(self, begin_s: float, end_s: float) -> float:
        """Return the mean power (W) from one moment to a later one; before time 0 the first power was on."""
        seen_from_s = max(begin_s, 0.0)
        before_j = (seen_from_s - begin_s) * self._points[0].power_w
        return (before_j + self.energy_j(max(end_s, seen_from_s)) - self.energy_j(seen_from_s)) / (end_s - begin_s)

    def _energy_within_j(self, elapsed_s: float) -> float:
        index = bisect_right(self._times_s, elapsed_s) - 1
        point, rest_s = self._points[index], elapsed_s - self._times_s[index]
        power_w = point.power_w
        if self._is_linear and index + 1 < len(self._points):
            following = self._points[index + 1]
            slope = (following.power_w - point.power_w) / (following.time_s - point.time_s)
            power_w += slope * rest_s / 2
        return self._energies_j[index] + rest_s * power_w


def read_points(lines: Iterable[str]) -> list[CurvePoint]:
    """Read points from CSV with a header that names `time_s` and `power_w`; raise `PowerCurveError`."""
    rows = csv.DictReader(lines)
    if not {"time_s", "power_w"} <= set(rows.fieldnames or ()):
        raise PowerCurveError("the first line must name the columns time_s and power_w")
    points = []
    for row in rows:
        try:
            points.append(CurvePoint(float(row["time_s"]), float(row["power_w"])))
        except (TypeError, ValueError) as error:
            raise PowerCurveError(f"line {rows.line_num}: time_s and power_w must be numbers") from error
    return points
