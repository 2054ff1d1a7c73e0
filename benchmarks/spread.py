"""How far repeated measurements lie apart: of one prompt, of a cell of many prompts, and over time. Pure.

Intervals of means are those of `benchmarks.intervals`. Outliers
are marked and stay in every figure; who wants a figure that they do not move looks at the median.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmarks.intervals import student_half_width, t_quantile_975

MAX_MODIFIED_Z = 3.5  # Iglewicz and Hoaglin, How to detect and handle outliers (1993)
MIN_COUNT_FOR_OUTLIERS = 5
NEGLIGIBLE_SHARE = 1e-6  # of the value itself: what is nearer than that differs by rounding, not by measuring

_MAD_TO_DEVIATION = 0.6745  # 0.75 quantile of the standard normal distribution
_MEAN_DEVIATION_TO_DEVIATION = 1.253314  # the square root of pi / 2


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeats of one thing; `variation` (standard deviation by mean) and the 95 % interval need two values.

    `outliers` are positions in the values given.
    """

    n: int
    mean: float
    median: float
    variation: float | None
    low: float | None
    high: float | None
    outliers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CellSpread:
    """A cell of several prompts, each counted once however often it was repeated.

    `between_prompts` is the spread of the prompts' means and has the cell's figures; `variation_of_repeats`
    is the root mean square of the variations within prompts, None without repeats.
    """

    value_count: int
    between_prompts: Spread
    variation_of_repeats: float | None


@dataclass(frozen=True, slots=True)
class Drift:
    """The slope of a control workload: change per hour as a share of its mean, with its 95 % interval."""

    n: int
    share_per_hour: float
    low: float
    high: float

    @property
    def is_seen(self) -> bool:
        """Tell whether the interval leaves out 0, by more than rounding: the machine changed while it measured."""
        return (self.low > 0 or self.high < 0) and abs(self.share_per_hour) > NEGLIGIBLE_SHARE


def spread_of(values: Sequence[float]) -> Spread | None:
    """Return the spread of repeats; None where there is no value. Missing values do not belong in them."""
    if not values:
        return None
    mean = fmean(values)
    if len(values) == 1:
        return Spread(1, mean, mean, None, None, None, ())
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = student_half_width(variance, len(values))
    return Spread(
        n=len(values),
        mean=mean,
        median=median(values),
        variation=math.sqrt(variance) / abs(mean) if mean else None,
        low=mean - half,
        high=mean + half,
        outliers=outliers_of(values),
    )


def cell_spread_of(repeats: Iterable[Sequence[float]]) -> CellSpread | None:
    """Return the spread of a cell from each prompt's repeats; None where no prompt has a value."""
    return cell_spread_of_prompts(map(spread_of, repeats))


def cell_spread_of_prompts(prompts: Iterable[Spread | None]) -> CellSpread | None:
    """Return the spread of a cell from the spread of each prompt's repeats; None where no prompt has a value."""
    spreads = [spread for spread in prompts if spread is not None]
    between = spread_of([spread.mean for spread in spreads])
    if between is None:
        return None
    variations = [spread.variation for spread in spreads if spread.variation is not None]
    return CellSpread(
        value_count=sum(spread.n for spread in spreads),
        between_prompts=between,
        variation_of_repeats=math.sqrt(fmean(one * one for one in variations)) if variations else None,
    )


def outliers_of(values: Sequence[float]) -> tuple[int, ...]:
    """Return the positions of values far from the median by the modified z-score; none among fewer than five.

    Where more than half the values are the same, their mean absolute deviation is the scale. A value that differs
    from the median by no more than rounding is none.
    """
    if len(values) < MIN_COUNT_FOR_OUTLIERS:
        return ()
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    scale = median(distances) / _MAD_TO_DEVIATION or fmean(distances) * _MEAN_DEVIATION_TO_DEVIATION
    least = NEGLIGIBLE_SHARE * abs(middle)
    return tuple(index for index, one in enumerate(distances) if scale and one > least and one / scale > MAX_MODIFIED_Z)


def mean_without(values: Sequence[float], left_out: Collection[int]) -> float | None:
    """Return the mean of the values but for those at some positions; None where nothing is left."""
    kept = [value for index, value in enumerate(values) if index not in left_out]
    return fmean(kept) if kept else None


def drift_of(hours: Sequence[float], values: Sequence[float]) -> Drift | None:
    """Return the drift of a control workload that was run at `hours`, by least squares.

    None with fewer than three runs, runs at one moment, or a mean of 0. Raises `ValueError` for lists of
    unlike length.
    """
    if len(hours) != len(values):
        raise ValueError(f"{len(hours)} moments do not fit {len(values)} values")
    if len(values) < 3:
        return None
    mean_hour, mean_value = fmean(hours), fmean(values)
    squares = math.fsum((hour - mean_hour) ** 2 for hour in hours)
    if squares == 0 or mean_value == 0:
        return None
    products = math.fsum((hour - mean_hour) * (value - mean_value) for hour, value in zip(hours, values, strict=True))
    slope = products / squares
    residues = math.fsum(
        (value - mean_value - slope * (hour - mean_hour)) ** 2 for hour, value in zip(hours, values, strict=True)
    )
    freedom = len(values) - 2
    half = t_quantile_975(freedom) * math.sqrt(residues / freedom / squares)
    scale = abs(mean_value)
    return Drift(len(values), slope / scale, (slope - half) / scale, (slope + half) / scale)
