"""95 % intervals for the figures that are shown: shares and means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.spread import t_quantile_975

_Z_95 = 1.959963984540054  # 0.975 quantile of the standard normal distribution
_RESAMPLES = 2000
LARGEST_BOOTSTRAP = 5000  # values; 2000 resamples of more would take hundreds of megabytes


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval and the number of values behind it."""

    value: float
    low: float
    high: float
    n: int


def share_interval(successes: int, n: int) -> Interval | None:
    """Return a share with Wilson's score interval; None where nothing was counted.

    Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if n == 0:
        return None
    share = successes / n
    scale = 1 + _Z_95**2 / n
    centre = (share + _Z_95**2 / (2 * n)) / scale
    half = _Z_95 * math.sqrt(share * (1 - share) / n + _Z_95**2 / (4 * n * n)) / scale
    # at 0 and 1 the bound is exact, and rounding must not push it past the value it is about
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(share, low, high, n)


def mean_interval(values: Sequence[float], *, seed: int = 0) -> Interval | None:
    """Return a mean with its percentile bootstrap interval; None where there is no value.

    The resampling is seeded, so the same values always give the same interval. With a single value the
    interval is that value: no spread is known, which `n` tells. Of more than 5,000 values the interval is
    Student's, mean and 1.96 standard errors, which the bootstrap of so many comes to.
    """
    if not values:
        return None
    data = np.asarray(values, dtype=np.float64)
    if data.size == 1:
        return Interval(float(data[0]), float(data[0]), float(data[0]), 1)
    if data.size > LARGEST_BOOTSTRAP:
        return _student(float(data.mean()), float(data.var(ddof=1)), int(data.size))
    picks = np.random.default_rng(seed).integers(0, data.size, size=(_RESAMPLES, data.size))
    means = data[picks].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high), int(data.size))


def mean_interval_of_sums(n: int, total: float, squared_deviations: float) -> Interval | None:
    """Return a mean with Student's interval from sums: for so many values that nobody wants to read them all.

    Args:
        squared_deviations: the sum of the squared distances from the mean.
    """
    if n == 0:
        return None
    if n == 1:
        return Interval(total, total, total, 1)
    return _student(total / n, squared_deviations / (n - 1), n)


def _student(mean: float, variance: float, n: int) -> Interval:
    half = t_quantile_975(n - 1) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, n)
