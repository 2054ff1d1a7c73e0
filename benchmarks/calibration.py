"""The figures of a calibration: what sampling costs, and how long a machine takes to calm down after load. Pure.

Overhead is the power with all meters sampled less the power without sampling, both idle. It is told as a share
of (peak - idle), the span that answers move in, and of idle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.spread import Spread

CALM_SHARE = 0.1  # of the way from idle to peak


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Overhead:
    """The extra power of sampling (mW, with its interval) as a share of the span from idle to peak, and of idle."""

    power_mw: Share
    of_span: Share | None
    of_idle: Share | None


def overhead_of(*, baseline: Spread, idle: Spread, peak_power_mw: float) -> Overhead | None:
    """Return the overhead from the powers (mW) without and with sampling; None where either has no interval.

    A share is None where what it would be a share of is not positive. An interval that holds 0 means that no
    overhead was seen.
    """
    halves = [_half(baseline), _half(idle)]
    if None in halves:
        return None
    half = math.hypot(*(one for one in halves if one is not None))
    extra = Share(idle.mean - baseline.mean, idle.mean - baseline.mean - half, idle.mean - baseline.mean + half)
    return Overhead(extra, _share(extra, peak_power_mw - baseline.mean), _share(extra, baseline.mean))


def settling_time_s(points: Sequence[tuple[float, float]], *, idle: float, peak: float) -> float | None:
    """Return when a decay has come down for good to a tenth of the way from idle to peak.

    `points` are seconds after the load's end and a temperature or a power, in order of time. None where peak is
    not above idle or the latest point is still above.
    """
    limit = idle + CALM_SHARE * (peak - idle)
    if peak <= idle or not points or points[-1][1] > limit:
        return None
    latest_above = max((index for index, (_, value) in enumerate(points) if value > limit), default=-1)
    return points[latest_above + 1][0]


def smoothed(points: Sequence[tuple[float, float]], *, width_s: float) -> list[tuple[float, float]]:
    """Return each point as the mean of those within `width_s` up to it, for values that jump."""
    return [
        (time_s, fmean(value for other_s, value in points if time_s - width_s <= other_s <= time_s))
        for time_s, _ in points
    ]


def _share(extra: Share, whole: float) -> Share | None:
    return Share(extra.value / whole, extra.low / whole, extra.high / whole) if whole > 0 else None


def _half(spread: Spread) -> float | None:
    return None if spread.high is None else spread.high - spread.mean
