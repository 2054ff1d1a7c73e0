"""Ask a cheaper model first and let a checker decide whether its answer may stand: a pure plan for one prompt.

With models from cheap to dear, the last one L answers directly. A cheaper model i with a checker that accepts a share
a_i of its answers, and that may ask a second model for comparison at the cost w_i, makes

    expected SCI_i = SCI_i + w_i + (1 - a_i) * expected SCI of what comes after it

It is asked where that is less than what comes after it alone, and where its accepted answers are right at least as
often as L: the lower end of their precision, at z = `caution` standard errors (Wilson), is at least

    (n p_L + z^2 / 2) / (n + z^2) - `tolerance` - `sci_price` * (SCI_L - SCI_i - w_i)

Shares are measured (docs/routing.md, Checkers). p_L is estimated for the prompt from n labels of neighbours, and drawn
to one half as Wilson's interval is, so that a few labels without a fault do not make L perfect. What an accepted answer
saves makes up for accuracy where a carbon budget runs short. That a prompt which one model fails is harder for the next
as well is left out of the expectation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from router.estimate import Estimates, Estimator, Integers, Shrinkage

LEAST_ACCEPTED = 20  # judged answers that a checker must have accepted before its word counts


@dataclass(frozen=True)
class Rates:
    """How far a checker can be trusted with one model's answers in one category; models are columns.

    Args:
        acceptance: share of all its answers that the checker accepts.
        precision: share of the accepted ones that are right.
        accepted_count: judged answers behind the precision.
        second: the model whose answer it compares with; None: it compares with none.
        right_share: share of all its answers that are right, whether accepted or not; None: not known.
        wrong_alike: share of the prompts on which both are wrong where the two agree, of an agreement that is modelled
            and not measured; None: it is measured.
    """

    checker: str
    column: int
    category: int
    acceptance: float
    precision: float
    accepted_count: int
    second: int | None = None
    right_share: float | None = None
    wrong_alike: float | None = None

    def surely_right(self, caution: float) -> float:
        """Return the lower end of the precision, so many standard errors below it (Wilson's score interval)."""
        n, p, z = self.accepted_count, self.precision, caution
        return _centre(p, n, z) - z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)


@dataclass(frozen=True)
class Plan:
    """Which models are asked in turn, each answer checked, and which one answers where none was accepted.

    The two costs are of the whole cascade, as expected, and of the last model alone, in gCO2e; None where unknown.
    """

    checked: tuple[Rates, ...]
    last: int
    expected_sci_gco2e: float | None
    direct_sci_gco2e: float | None


@dataclass(frozen=True)
class Cascade:
    """Ask cheaper models first, where a checker with a measured precision makes that worth it.

    Args:
        rates: what is measured, only of checkers that are measured well enough.
        fallback: column of the last model; None: the model with the highest mean score.
        caution: z, in standard errors of the precision.
        tolerance: loss of accuracy that is no loss.
        sci_price: what saved SCI makes up for, in accuracy per gCO2e; a carbon budget that runs short asks for one.
        novelty: squared L2 distance above which no cheaper model is asked; None: no prompt is new.
    """

    rates: Sequence[Rates] = ()
    fallback: int | None = None
    caution: float = 0.5
    tolerance: float = 0.0
    sci_price: float = 0.0
    novelty: float | None = None
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    name: ClassVar[str] = "cascade"

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:
        """Return the last model for each prompt; what comes before it is planned, and what it is worth is expected."""
        return np.full(len(estimates.p), self.last(estimator), dtype=np.int64)

    def last(self, estimator: Estimator) -> int:
        """Return the model that answers where no earlier answer was accepted."""
        return estimator.best_model if self.fallback is None else self.fallback

    def is_novel(self, estimates: Estimates, row: int = 0) -> bool:
        """Tell whether a prompt of the estimates, the first one if not told, is of a kind that nobody has judged."""
        return self.novelty is not None and float(estimates.squared_distance[row]) > self.novelty

    def plan(self, estimator: Estimator, estimates: Estimates, row: int = 0) -> Plan:
        """Return what is asked in turn for a prompt of the estimates, the first one if not told."""
        last, costs = self.last(estimator), [float(cost) for cost in estimates.sci_gco2e[row]]
        p_last = float(estimates.p[row, last])
        direct = None if math.isnan(costs[last]) else costs[last]
        if direct is None or math.isnan(p_last) or self.is_novel(estimates, row):
            return Plan((), last, direct, direct)
        least = _centre(p_last, int(estimates.label_count[row, last]), self.caution) - self.tolerance
        category = int(estimates.category[row])
        trusted = [
            one
            for one in self.rates
            if one.category == category
            and one.surely_right(self.caution) >= least - self.sci_price * max(direct - _own_cost(one, costs), 0.0)
        ]
        plan: tuple[Rates, ...] = ()
        expected = direct
        busy: set[int | None] = {last}
        for column in sorted(range(len(costs)), key=lambda at: (-costs[at], at)):
            if math.isnan(costs[column]) or costs[column] >= costs[last] or column in busy:
                continue
            usable = [one for one in trusted if one.column == column and (one.second is None or one.second not in busy)]
            priced = [(_expected(one, costs, expected), one.checker, place) for place, one in enumerate(usable)]
            cost, _, place = min(priced, default=(math.inf, "", 0))
            if cost < expected:
                plan, expected = (usable[place], *plan), cost
                busy |= {column, usable[place].second}
        return Plan(plan, last, expected, direct)


def _centre(share: float, n: int, z: float) -> float:
    """Return the middle of Wilson's score interval, z standard errors wide to each side."""
    return share if n + z == 0 else (n * share + z * z / 2) / (n + z * z)


def _expected(rates: Rates, costs: Sequence[float], after: float) -> float:
    """Return the expected cost of asking a model before what comes after it."""
    return _own_cost(rates, costs) + (1 - rates.acceptance) * after


def _own_cost(rates: Rates, costs: Sequence[float]) -> float:
    """Return what a model and the one beside it cost; where either is not known, without end."""
    own = costs[rates.column] + (0.0 if rates.second is None else costs[rates.second])
    return math.inf if math.isnan(own) else own
