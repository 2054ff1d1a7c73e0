"""Sums and products of the figures of answers: means, sums and ratios with 95 % intervals, without the answers. Pure.

A database adds them up over any number of answers, and those of two groups add up to those of both. As a weighted sum
of figures has its mean and variance from them too, an SCI can be worked out anew for another carbon intensity or
lifespan from the sums of energy and time alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from benchmarks.intervals import Interval, student_half_width

_ROUNDING = 1e-12  # of the squares themselves: a variance below that is what subtracting them left over


@dataclass(frozen=True)
class Products:
    """What n answers have of some figures: the sum of each, and of each product of two.

    `products` has the pairs (0, 0), (0, 1), ..., (1, 1), ... of the figures' places.
    """

    n: int
    sums: tuple[float, ...]
    products: tuple[float, ...]

    @classmethod
    def of(cls, answers: Sequence[Sequence[float]], *, width: int) -> "Products":
        """Return the sums of answers with `width` figures each."""
        return cls(
            len(answers),
            tuple(math.fsum(one[place] for one in answers) for place in range(width)),
            tuple(math.fsum(one[a] * one[b] for one in answers) for a, b in pairs_of(width)),
        )

    def __add__(self, other: "Products") -> "Products":
        return Products(
            self.n + other.n,
            tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
            tuple(a + b for a, b in zip(self.products, other.products, strict=True)),
        )

    def total(self, weights: Sequence[float]) -> float | None:
        """Return the weighted sum over all answers; None where there is none."""
        return self._sum(weights) if self.n else None

    def mean(self, weights: Sequence[float]) -> Interval | None:
        """Return the mean of the weighted sum with Student's interval; None where there is no answer.

        With one answer the interval is its value: no spread is known, which `n` tells.
        """
        if not self.n:
            return None
        return self._interval(self._sum(weights) / self.n, self._variance(weights), 1.0)

    def ratio(self, weights: Sequence[float], to: Sequence[float], *, per: float = 1.0) -> Interval | None:
        """Return one weighted sum by another, times `per`, with the interval of a ratio of sums.

        None where there is no answer or nothing to divide by. Source: Cochran, Sampling Techniques (3rd edition,
        1977), chapter 6: the variance of a ratio is that of what the ratio leaves unexplained of each answer.
        """
        below = self._sum(to)
        if not self.n or below <= 0:
            return None
        value = self._sum(weights) / below
        left = [one - value * other for one, other in zip(weights, to, strict=True)]
        return self._interval(per * value, self._variance(left), per * self.n / below)

    def _sum(self, weights: Sequence[float]) -> float:
        return math.fsum(weight * one for weight, one in zip(weights, self.sums, strict=True))

    def _variance(self, weights: Sequence[float]) -> float:
        if self.n < 2:
            return 0.0
        parts = [
            (1 if a == b else 2) * weights[a] * weights[b] * one
            for (a, b), one in zip(pairs_of(len(weights)), self.products, strict=True)
        ]
        squares = math.fsum(parts)
        variance = (squares - self._sum(weights) ** 2 / self.n) / (self.n - 1)
        largest = max(abs(part) for part in parts)
        return variance if variance > _ROUNDING * largest else 0.0

    def _interval(self, value: float, variance: float, scale: float) -> Interval:
        if self.n < 2:
            return Interval(value, value, value, self.n)
        half = scale * student_half_width(variance, self.n)
        return Interval(value, value - half, value + half, self.n)


def pairs_of(width: int) -> list[tuple[int, int]]:
    """Return the pairs of figures' places in the order in which `Products` has them."""
    return list(combinations_with_replacement(range(width), 2))
