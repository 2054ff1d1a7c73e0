"""Mixes of two single models: what anyone gets who sends a share of all prompts to one and the rest to another.

A policy is worth its trouble where it is more accurate than the best mix at its cost, or cheaper than the cheapest mix
of its accuracy. The mixes are chosen on the reported prompts themselves: no router that must learn could be as good,
which makes them hard controls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router.estimate import Floats
from router.evaluation.booking import Ledger
from router.evaluation.resampling import Resampling


@dataclass(frozen=True)
class Single:
    """One model alone: its mean accuracy and cost, and what they are in every draw of the bootstrap."""

    title: str
    right: float
    cost: float
    right_draws: Floats
    cost_draws: Floats


@dataclass(frozen=True)
class Mix:
    """A share of the prompts to `other`, the rest to `one`."""

    one: Single
    other: Single
    share: float

    @property
    def right(self) -> float:
        """Return its accuracy."""
        return self._mixed(self.one.right, self.other.right)

    @property
    def cost(self) -> float:
        """Return its cost per prompt."""
        return self._mixed(self.one.cost, self.other.cost)

    @property
    def right_draws(self) -> Floats:
        """Return its accuracy in every draw."""
        mixed: Floats = (1 - self.share) * self.one.right_draws + self.share * self.other.right_draws
        return mixed

    @property
    def cost_draws(self) -> Floats:
        """Return its cost in every draw."""
        mixed: Floats = (1 - self.share) * self.one.cost_draws + self.share * self.other.cost_draws
        return mixed

    @property
    def name(self) -> str:
        """Return it in words."""
        if self.share in {0.0, 1.0}:
            return (self.other if self.share else self.one).title
        return f"{100 * (1 - self.share):.0f} % {self.one.title}, {100 * self.share:.0f} % {self.other.title}"

    def _mixed(self, one: float, other: float) -> float:
        return (1 - self.share) * one + self.share * other


def singles_of(ledgers: Sequence[Ledger], draws: Resampling) -> list[Single]:
    """Return the single models among what was booked."""
    found = []
    for ledger in ledgers:
        if ledger.kind == "model":
            right, cost = np.array(ledger.splits).mean(axis=0)
            if np.isnan(right) or np.isnan(cost):
                continue  # nobody judged or measured it on the reported prompts of a split
            found.append(Single(ledger.title, float(right), float(cost), *draws.means(ledger.title)))
    return found


def most_accurate_mix(singles: Sequence[Single], *, cost: float) -> Mix | None:
    """Return the most accurate mix of two models of this mean cost; None where none costs so little."""
    mixes = [Mix(one, one, 0.0) for one in singles if one.cost <= cost]
    for one in singles:
        for other in singles:
            if one.cost < cost < other.cost:
                mixes.append(Mix(one, other, (cost - one.cost) / (other.cost - one.cost)))
    return max(mixes, key=lambda mix: mix.right, default=None)


def cheapest_mix(singles: Sequence[Single], *, right: float) -> Mix | None:
    """Return the cheapest mix of two models with at least this accuracy; None where none is so accurate."""
    mixes = [Mix(one, one, 0.0) for one in singles if one.right >= right]
    for one in singles:
        for other in singles:
            if one.right < right < other.right:
                mixes.append(Mix(one, other, (right - one.right) / (other.right - one.right)))
    return min(mixes, key=lambda mix: mix.cost, default=None)


def frontier(singles: Sequence[Single]) -> list[Single]:
    """Return the models that the best mixes are made of, from the cheapest to the most accurate."""
    corners: list[Single] = []
    for single in sorted(singles, key=lambda one: (one.cost, -one.right)):
        if corners and single.right <= corners[-1].right:
            continue
        while len(corners) > 1 and _slope(corners[-2], single) >= _slope(corners[-2], corners[-1]):
            corners.pop()
        corners.append(single)
    return corners


def _slope(one: Single, other: Single) -> float:
    return (other.right - one.right) / max(other.cost - one.cost, 1e-300)
