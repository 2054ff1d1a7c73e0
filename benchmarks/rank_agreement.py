"""How far two lists rank the same things alike: Kendall's tau-b with a 95 % interval. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

_Z_975 = 1.959963984540054
_FIELLER = 0.437  # Fieller, Hartley and Pearson, Tests for rank correlation coefficients I (1957)
LEAST_FOR_INTERVAL = 5


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Kendall's tau-b between n things: 1 is the same order, -1 the reverse; the ends are None where unknown."""

    value: float
    low: float | None
    high: float | None
    n: int


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> RankAgreement | None:
    """Return tau-b, which allows for ties, between two lists of the same n things.

    The interval is Fieller's by the z transformation. It is not known with fewer than five things, nor where the order
    is just the same or just the reverse. None where a list has nothing to order: fewer than two things, or all alike.

    Raises:
        ValueError: the lists are of unlike length.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} values do not fit {len(other)}")
    n = len(one)
    signs = [(_sign(one[a] - one[b]), _sign(other[a] - other[b])) for a, b in combinations(range(n), 2)]
    in_one, in_other = sum(a != 0 for a, _ in signs), sum(b != 0 for _, b in signs)
    if not in_one or not in_other:
        return None
    tau = sum(a * b for a, b in signs) / math.sqrt(in_one * in_other)
    if n < LEAST_FOR_INTERVAL or abs(tau) >= 1:
        return RankAgreement(tau, None, None, n)
    half = _Z_975 * math.sqrt(_FIELLER / (n - 4))
    return RankAgreement(tau, math.tanh(math.atanh(tau) - half), math.tanh(math.atanh(tau) + half), n)


def ranks(values: Sequence[float], *, largest_first: bool = False) -> list[int]:
    """Return each value's place from 1, the smallest first or the largest; equal values share the better place."""
    ordered = sorted(values, reverse=largest_first)
    return [ordered.index(one) + 1 for one in values]


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)
