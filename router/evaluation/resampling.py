"""Bootstrap over prompt texts: the same draws for every approach, so that differences are paired."""

from collections.abc import Sequence

import numpy as np

from benchmarks.intervals import Interval
from router.estimate import Floats, Integers
from router.evaluation.booking import Ledger

_RESAMPLES = 1000
_BLOCK = 100  # resamples at a time, so that many prompts do not need much memory


class Resampling:
    """Resampled means of right and of cost of every ledger."""

    def __init__(self, ledgers: Sequence[Ledger], groups: Integers, *, seed: int) -> None:
        count = int(groups.max()) + 1
        sums = np.stack(
            [
                np.bincount(groups, weights=values, minlength=count)
                for one in ledgers
                for values in (one.right, one.right_count, one.cost, one.cost_count)
            ],
            axis=1,
        )
        chance, shares = np.random.default_rng(seed), np.full(count, 1 / count)
        drawn = np.concatenate(
            [
                chance.multinomial(count, shares, size=_BLOCK).astype(np.float64) @ sums
                for _ in range(_RESAMPLES // _BLOCK)
            ]
        )
        self._drawn = {one.title: drawn[:, 4 * number : 4 * number + 4] for number, one in enumerate(ledgers)}

    def means(self, title: str) -> tuple[Floats, Floats]:
        """Return resampled means of right and of cost, one of each for every draw."""
        drawn = self._drawn[title]
        with np.errstate(invalid="ignore"):  # NaN where a draw holds no prompt that is judged or measured
            return drawn[:, 0] / drawn[:, 1], drawn[:, 2] / drawn[:, 3]


def interval(value: float, draws: Floats, n: int) -> Interval:
    """Return a figure with the 95 % interval of its draws, widened where needed so that it holds the figure."""
    known = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(known):
        return Interval(value, float("nan"), float("nan"), n)
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(value, min(float(low), value), max(float(high), value), n)
