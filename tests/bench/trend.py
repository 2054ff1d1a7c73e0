"""Whether a series rises: the slope of Theil and Sen, with an interval that knows of neighbours that are alike.

Memory and counts of files move in steps and waves, so that one value tells much of the next. The interval that is
usual for the slope (Sen 1968) takes them as independent and is too narrow then. This one draws blocks of neighbouring
residuals (moving-block bootstrap, Kuensch 1989), which keeps what neighbours have in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FEWEST = 8

Series = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trend:
    """A slope a second, and its 95 % interval."""

    slope: float
    low: float
    high: float

    @property
    def is_rising(self) -> bool:
        return self.low > 0


def trend_of(times_s: Sequence[float], values: Sequence[float], *, block: int, seed: int, draws: int = 1000) -> Trend:
    """Return the trend of a series; `block` is how many neighbours are drawn together.

    Raises:
        ValueError: fewer values than moments, or fewer than eight.
    """
    moments, series = np.asarray(times_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    count = len(series)
    if len(moments) != count or count < _FEWEST:
        raise ValueError(f"a trend needs at least {_FEWEST} values, each with its moment")
    first, second = np.triu_indices(count, k=1)
    spans = moments[second] - moments[first]

    def slope_of(one: Series) -> float:
        return float(np.median((one[second] - one[first]) / spans))

    slope = slope_of(series)
    places = _blocks(count, min(block, count // 3), draws, np.random.default_rng(seed))
    drawn = [slope_of(one) for one in (series - slope * moments)[places]]
    # of residuals drawn anew, whatever slope there is was made by chance
    low, high = slope - np.quantile(drawn, [0.975, 0.025])
    return Trend(slope, float(low), float(high))


def _blocks(count: int, block: int, draws: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return as many rows as draws, each the places of blocks of neighbours, one after the other."""
    starts = random.integers(0, count - block + 1, size=(draws, -(-count // block)))
    return (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :count]
