"""How far judges agree: raw agreement, Gwet's AC1 and Krippendorff's alpha, each with a 95 % interval. Pure.

An item is what its judges said of it: a list of nominal verdicts, one a judge, in any order; who did not judge it is
not in the list. Items are given one by one, or as a tally: each kind of item with how many there are, on which alone
the figures depend. Intervals are closed-form: the linearised variance over items, with Student's t at n - 1 degrees of
freedom, of Gwet, Handbook of Inter-Rater Reliability (4th edition, 2014); where judges are missing, the share of
agreement counts as a ratio over the items that have two. Where every item has the same share of agreement that variance
is zero and says nothing: raw agreement then has Wilson's interval, and the other two have none.
"""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.intervals import share_interval

Item = Sequence[Hashable]
Tally = Mapping[tuple[Hashable, ...], int]
Items = Sequence[Item] | Tally

TOO_FEW = "fewer than 2 answers were judged by two people"
NO_VARIATION = "everybody said the same of every answer: there is no variation to measure alpha against"
NO_SPREAD = "every answer shows the same agreement: the spread that an interval needs is not known"


@dataclass(frozen=True)
class Figure:
    """A coefficient with its 95 % interval from n items with two judges or more; None comes with a reason."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True)
class Agreement:
    """The three figures of the same items; `judgement_count` counts every verdict in them."""

    raw: Figure
    ac1: Figure
    alpha: Figure
    judgement_count: int


def agreement(items: Items, *, categories: Collection[Hashable]) -> Agreement:
    """Return all three figures; `categories` are the verdicts that could be given (AC1 depends on how many)."""
    tally = _tally(items)
    return Agreement(
        raw_agreement(tally),
        gwets_ac1(tally, categories=categories),
        krippendorffs_alpha(tally),
        sum(len(item) * count for item, count in tally.items()),
    )


def raw_agreement(items: Items) -> Figure:
    """Return the mean share of agreeing pairs of judges, over the items that have such a pair."""
    shared = _paired(_tally(items))
    n = shared.total()
    if n < 2:
        return Figure(None, None, None, n, TOO_FEW)
    value = _sum((_agreeing_share(item), count) for item, count in shared.items()) / n
    if all(_same(_agreeing_share(item), value) for item in shared):
        whole = share_interval(round(value * n), n) if value in (0.0, 1.0) else None
        if whole is None:
            return Figure(value, None, None, n, NO_SPREAD)
        return Figure(value, whole.low, whole.high, n)
    return _figure(value, [(_agreeing_share(item) - value, count) for item, count in shared.items()], lowest=0.0)


def gwets_ac1(items: Items, *, categories: Collection[Hashable]) -> Figure:
    """Return Gwet's AC1, (pa - pe) / (1 - pe), with pe = sum of pi_k (1 - pi_k) over q - 1.

    pa is raw agreement, pi_k the mean share of category k over all items that anybody judged, q the number of
    categories. It stays meaningful where nearly all answers are alike, which alpha and kappa do not.

    Raises:
        ValueError: fewer than two categories, or a verdict that is none of them.
    """
    possible, judged = set(categories), _tally(items)
    if len(possible) < 2:
        raise ValueError("agreement needs at least two categories")
    if unknown := {verdict for item in judged for verdict in item} - possible:
        raise ValueError(f"no category: {unknown}")
    shared = _paired(judged)
    n, n_shared = judged.total(), shared.total()
    if n_shared < 2:
        return Figure(None, None, None, n_shared, TOO_FEW)
    shares = _mean_shares(judged)
    by_chance = math.fsum(share * (1 - share) for share in shares.values()) / (len(possible) - 1)
    raw = _sum((_agreeing_share(item), count) for item, count in shared.items()) / n_shared
    value = (raw - by_chance) / (1 - by_chance)  # by_chance is at most 1/q, so never 1
    deviations = []
    for item, count in judged.items():
        # an answer with one judge tells of the categories' shares and nothing of agreement: it adds no spread there
        own = (n / n_shared) * (_agreeing_share(item) - raw) if len(item) > 1 else 0.0
        own_chance = math.fsum(1 - shares[verdict] for verdict in item) / len(item) / (len(possible) - 1)
        deviations.append(((own - 2 * (1 - value) * (own_chance - by_chance)) / (1 - by_chance), count))
    return _figure(value, deviations, lowest=-1.0, n=n_shared, is_uniform=raw in (0.0, 1.0))


def krippendorffs_alpha(items: Items) -> Figure:
    """Return Krippendorff's alpha for nominal verdicts, 1 - observed / expected disagreement.

    Items with one judge cannot be paired and are left out. Source: Krippendorff, Computing Krippendorff's
    Alpha-Reliability (2011).
    """
    paired = _paired(_tally(items))
    n = paired.total()
    if n < 2:
        return Figure(None, None, None, n, TOO_FEW)
    counts: Counter[Hashable] = Counter()
    for item, count in paired.items():
        for verdict in item:
            counts[verdict] += count
    if len(counts) < 2:
        return Figure(None, None, None, n, NO_VARIATION)
    total = counts.total()
    mean_judges, epsilon = total / n, 1 / total
    shares = {verdict: count / total for verdict, count in counts.items()}
    expected = math.fsum(share * share for share in shares.values())
    own = {item: _agreeing_share(item) * len(item) / mean_judges for item in paired}
    mean_own = _sum((own[item], count) for item, count in paired.items()) / n
    observed = (1 - epsilon) * mean_own + epsilon
    value = (observed - expected) / (1 - expected)
    without_epsilon = (mean_own - expected) / (1 - expected)
    deviations = []
    for item, count in paired.items():
        surplus = (len(item) - mean_judges) / mean_judges
        own_value = (own[item] - observed * surplus - expected) / (1 - expected)
        own_expected = math.fsum(shares[verdict] for verdict in item) / mean_judges - expected * surplus
        own_value -= 2 * (1 - without_epsilon) * (own_expected - expected) / (1 - expected)
        deviations.append((own_value - without_epsilon, count))
    return _figure(value, deviations, lowest=-1.0, is_uniform=all(len(set(item)) == 1 for item in paired))


def _tally(items: Items) -> Counter[tuple[Hashable, ...]]:
    """Count the kinds of items that anybody judged, whatever the order of their judges."""
    found: Counter[tuple[Hashable, ...]] = Counter()
    counted: Iterable[tuple[Item, int]] = items.items() if isinstance(items, Mapping) else ((one, 1) for one in items)
    for item, count in counted:
        if item and count:
            found[tuple(sorted(item, key=repr))] += count
    return found


def _paired(tally: Counter[tuple[Hashable, ...]]) -> Counter[tuple[Hashable, ...]]:
    return Counter({item: count for item, count in tally.items() if len(item) > 1})


def _sum(counted: Iterable[tuple[float, int]]) -> float:
    return math.fsum(value * count for value, count in counted)


def _agreeing_share(item: Item) -> float:
    """Return the share of an item's pairs of judges that say the same."""
    pairs = len(item) * (len(item) - 1)
    return sum(count * (count - 1) for count in Counter(item).values()) / pairs


def _mean_shares(tally: Counter[tuple[Hashable, ...]]) -> dict[Hashable, float]:
    parts: dict[Hashable, list[float]] = {}
    for item, times in tally.items():
        for verdict, count in Counter(item).items():
            parts.setdefault(verdict, []).append(times * (count / len(item)))
    return {verdict: math.fsum(found) / tally.total() for verdict, found in parts.items()}


def _figure(
    value: float,
    deviations: Sequence[tuple[float, int]],
    *,
    lowest: float,
    n: int | None = None,
    is_uniform: bool = False,
) -> Figure:
    """Return a coefficient with Student's interval of the items' deviations from it, each with how often it comes."""
    count = sum(times for _, times in deviations)
    shown = count if n is None else n
    error = math.sqrt(_sum((one * one, times) for one, times in deviations) / (count * (count - 1)))
    if is_uniform or _same(error, 0.0):
        return Figure(value, None, None, shown, NO_SPREAD)
    from scipy.special import stdtrit  # late: with `scipy.stats` it took every process half a second to start

    half = float(stdtrit(shown - 1, 0.975)) * error  # the quantile of Student's t
    return Figure(value, max(lowest, value - half), min(1.0, value + half), shown)


def _same(first: float, second: float) -> bool:
    return math.isclose(first, second, abs_tol=1e-12)
