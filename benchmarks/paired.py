"""Statistics of two measurements of the same things: paired differences, tests that assume no distribution, Holm.

scipy is imported where it is used: it costs about a second, which no page without a comparison shall pay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.intervals import Interval

MIN_PAIRS = 6  # with 5 pairs the smallest p of Wilcoxon's test is 0.06: it could never show anything
_RESAMPLES = 2000
_BLOCK = 2_000_000  # numbers drawn at a time, so that many pairs do not need much memory
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """How the first values differ from the second ones.

    `difference` is the mean of first - second, `ratio` the mean of the first over the mean of the second (None where
    that is 0 or less), each with its bootstrap interval. `p` is None where no test was made; `reason` says why.
    """

    n: int
    mean_a: float
    mean_b: float
    difference: Interval
    ratio: Interval | None
    p: float | None
    test: str
    reason: str = ""


def compare_pairs(pairs: Sequence[tuple[float, float]], *, seed: int = 0) -> Paired | None:
    """Compare paired values: bootstrap over pairs, Wilcoxon's signed-rank test; None where there is no pair.

    Sources: Efron and Tibshirani, An introduction to the bootstrap (1993), ch. 13; Wilcoxon (1945).
    """
    if not pairs:
        return None
    first, second = (np.asarray(values, dtype=np.float64) for values in zip(*pairs, strict=True))
    means_a, means_b = _resampled_means(first, second, seed)
    p, reason = wilcoxon_p(first - second)
    return Paired(
        n=len(pairs),
        mean_a=float(first.mean()),
        mean_b=float(second.mean()),
        difference=_interval(float((first - second).mean()), means_a - means_b, len(pairs)),
        ratio=_ratio(first, second, means_a, means_b),
        p=p,
        test="Wilcoxon signed-rank" if p is not None else "",
        reason=reason,
    )


def compare_verdicts(pairs: Sequence[tuple[bool, bool]], *, seed: int = 0) -> Paired | None:
    """Compare paired verdicts: the difference of the shares, McNemar's exact test; None where there is no pair.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions (1947).
    """
    if not pairs:
        return None
    first, second = (np.asarray(values, dtype=np.float64) for values in zip(*pairs, strict=True))
    means_a, means_b = _resampled_means(first, second, seed)
    p, reason = mcnemar_p(
        only_a=sum(a and not b for a, b in pairs), only_b=sum(b and not a for a, b in pairs), n=len(pairs)
    )
    return Paired(
        n=len(pairs),
        mean_a=float(first.mean()),
        mean_b=float(second.mean()),
        difference=_interval(float((first - second).mean()), means_a - means_b, len(pairs)),
        ratio=None,
        p=p,
        test="McNemar exact" if p is not None else "",
        reason=reason,
    )


def wilcoxon_p(differences: Sequence[float] | _Array) -> tuple[float | None, str]:
    """Return the two-sided p of Wilcoxon's signed-rank test, or None and why; pairs without a difference are left out.

    Exact up to 50 pairs without ties, and by permutation for a few pairs with ties.
    """
    differing = np.asarray([one for one in differences if one != 0.0], dtype=np.float64)
    if differing.size < MIN_PAIRS:
        return None, f"only {differing.size} pairs differ, {MIN_PAIRS} are needed for a test"
    from scipy.stats import wilcoxon

    return float(wilcoxon(differing).pvalue), ""


def mcnemar_p(*, only_a: int, only_b: int, n: int) -> tuple[float | None, str]:
    """Return the two-sided p of McNemar's exact test from the pairs with one side right only, or None and why."""
    if n < MIN_PAIRS:
        return None, f"only {n} pairs, {MIN_PAIRS} are needed for a test"
    if only_a + only_b == 0:
        return 1.0, ""
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue), ""


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p values adjusted for all of them being looked at together; None stays None.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    in_order = sorted((value, place) for place, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (value, place) in enumerate(in_order):
        highest = max(highest, min(1.0, value * (len(in_order) - rank)))
        adjusted[place] = highest
    return adjusted


def difference_interval(pairs: Sequence[tuple[float, float]], *, seed: int = 0) -> Interval | None:
    """Return the mean of first - second with its bootstrap interval, untested; None where there is no pair."""
    if not pairs:
        return None
    first, second = (np.asarray(values, dtype=np.float64) for values in zip(*pairs, strict=True))
    means_a, means_b = _resampled_means(first, second, seed)
    return _interval(float((first - second).mean()), means_a - means_b, len(pairs))


def _resampled_means(first: _Array, second: _Array, seed: int) -> tuple[_Array, _Array]:
    """Return the means of both sides over resampled pairs; the seed makes the same values give the same interval."""
    generator = np.random.default_rng(seed)
    size = first.size
    step = max(1, _BLOCK // size)
    means_a, means_b = [], []
    for start in range(0, _RESAMPLES, step):
        picks = generator.integers(0, size, size=(min(step, _RESAMPLES - start), size))
        means_a.append(first[picks].mean(axis=1))
        means_b.append(second[picks].mean(axis=1))
    return np.concatenate(means_a), np.concatenate(means_b)


def _interval(value: float, resampled: _Array, n: int) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high), n)


def _ratio(first: _Array, second: _Array, means_a: _Array, means_b: _Array) -> Interval | None:
    if not second.mean() > 0 or not (means_b > 0).all():
        return None
    return _interval(float(first.mean() / second.mean()), means_a / means_b, first.size)
