"""Statistics of two measurements of the same things: paired differences, tests that assume no distribution, Holm.

scipy is imported where it is used: it costs about a second, which no page without a comparison shall pay.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.intervals import Interval

MIN_PAIRS = 6  # with 5 pairs the smallest p of Wilcoxon's test is 0.06: it could never show anything
_RESAMPLES = 2000
_BLOCK = 100_000  # numbers drawn at a time: what the caches of a processor hold, however many pairs there are
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


@dataclass(frozen=True)
class Sample:
    """Pairs to compare, first and second values in two columns of one length; verdicts are 1 (right) or 0."""

    first: _Array
    second: _Array
    are_verdicts: bool = False

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]], *, are_verdicts: bool = False) -> "Sample":
        """Return pairs as columns."""
        columns = np.asarray(pairs, dtype=np.float64).reshape(-1, 2).T
        return cls(columns[0].copy(), columns[1].copy(), are_verdicts)


def compare_samples(samples: Sequence[Sample], *, seed: int = 0) -> list[Paired | None]:
    """Compare the pairs of each sample: bootstrap over pairs, Wilcoxon's signed-rank test, McNemar's for verdicts.

    Samples of one size are resampled together, each as it would be alone. None stands for a sample without a pair.
    Sources: Efron and Tibshirani, An introduction to the bootstrap (1993), ch. 13; Wilcoxon (1945); McNemar, Note on
    the sampling error of the difference between correlated proportions (1947).
    """
    found: list[Paired | None] = [None] * len(samples)
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        by_size[sample.first.size].append(place)
    for size, places in by_size.items():
        if size:
            columns = [column for place in places for column in (samples[place].first, samples[place].second)]
            means = _resampled_means(columns, seed)
            for place, means_a, means_b in zip(places, means[::2], means[1::2], strict=True):
                found[place] = _paired(samples[place], means_a, means_b)
    return found


def compare_pairs(pairs: Sequence[tuple[float, float]], *, seed: int = 0) -> Paired | None:
    """Compare paired values as `compare_samples` does; None where there is no pair."""
    return compare_samples([Sample.of(pairs)], seed=seed)[0]


def compare_verdicts(pairs: Sequence[tuple[bool, bool]], *, seed: int = 0) -> Paired | None:
    """Compare paired verdicts as `compare_samples` does, the difference of the shares; None where there is no pair."""
    return compare_samples([Sample.of(pairs, are_verdicts=True)], seed=seed)[0]


def _paired(sample: Sample, means_a: _Array, means_b: _Array) -> Paired:
    first, second = sample.first, sample.second
    if sample.are_verdicts:
        only_a, only_b = int((first > second).sum()), int((second > first).sum())
        p, reason = mcnemar_p(only_a=only_a, only_b=only_b, n=first.size)
        test = "McNemar exact"
    else:
        p, reason = wilcoxon_p(first - second)
        test = "Wilcoxon signed-rank"
    return Paired(
        n=first.size,
        mean_a=float(first.mean()),
        mean_b=float(second.mean()),
        difference=_interval(float((first - second).mean()), means_a - means_b, first.size),
        ratio=None if sample.are_verdicts else _ratio(first, second, means_a, means_b),
        p=p,
        test=test if p is not None else "",
        reason=reason,
    )


def wilcoxon_p(differences: Sequence[float] | _Array) -> tuple[float | None, str]:
    """Return the two-sided p of Wilcoxon's signed-rank test, or None and why; pairs without a difference are left out.

    Exact up to 50 pairs without ties, and by permutation for a few pairs with ties.
    """
    values = np.asarray(differences, dtype=np.float64)
    differing = values[values != 0.0]
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
    sample = Sample.of(pairs)
    means_a, means_b = _resampled_means([sample.first, sample.second], seed)
    return _interval(float((sample.first - sample.second).mean()), means_a - means_b, len(pairs))


def _resampled_means(columns: Sequence[_Array], seed: int) -> list[_Array]:
    """Return the means of each column over the same resampled rows; the seed makes the same values give the same."""
    generator = np.random.default_rng(seed)
    size = columns[0].size
    step = min(_RESAMPLES, max(1, _BLOCK // size))
    means = [np.empty(_RESAMPLES) for _ in columns]
    picked = np.empty((step, size))
    for start in range(0, _RESAMPLES, step):
        count = min(step, _RESAMPLES - start)
        picks = generator.integers(0, size, size=(count, size))
        for column, found in zip(columns, means, strict=True):
            np.take(column, picks, out=picked[:count], mode="clip")  # the mode without a copy; no pick is outside
            picked[:count].mean(axis=1, out=found[start : start + count])
    return means


def _interval(value: float, resampled: _Array, n: int) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high), n)


def _ratio(first: _Array, second: _Array, means_a: _Array, means_b: _Array) -> Interval | None:
    if not second.mean() > 0 or not (means_b > 0).all():
        return None
    return _interval(float(first.mean() / second.mean()), means_a / means_b, first.size)
