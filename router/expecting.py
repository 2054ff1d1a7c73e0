"""What the choices of a policy are worth on many prompts, a cascade's by the runs that it is expected to make. Pure.

Run i of a cascade is made where no earlier answer was accepted, and its answer stands where its checker accepts it:

    reached_1 = 1,   reached_(i+1) = reached_i (1 - a_i),   stands_i = reached_i a_i   (a of the last model is 1)
    right = sum of stands_i r_i,   cost = sum of reached_i (c_i + w_i)

with w_i the cost of the model that is asked beside it. Where it is known whether an answer is right (r_i is 1 or 0),
a_i is the share that the checker accepts of right or of wrong answers. That follows from what was measured of it, the
acceptance A, the precision P and the share R of all answers that are right:

    a(right) = A P / R,   a(wrong) = A (1 - P) / (1 - R)

Where only a probability is known, a_i = A and r_i = P. An agreement that is modelled (`agreed_rates`) accepts where
both answers are right, never where one is, and in an assumed share where neither is. These are expected values, not
draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router.cascade import LEAST_ACCEPTED, Cascade, Plan, Rates
from router.estimate import Estimates, Estimator, Floats, Integers
from router.policies import Policy


@dataclass(frozen=True)
class Choices:
    """Which model each of q prompts goes to first, and, of a cascade, who is asked in turn."""

    first: Integers
    plans: tuple[Plan, ...] = ()

    def same_as(self, other: "Choices") -> np.ndarray:
        """Tell for each prompt whether the other choice asks the same models, and checks alike: (q,)."""
        if not self.plans:
            is_same: np.ndarray = self.first == other.first
            return is_same
        return np.array([_asked(one) == _asked(two) for one, two in zip(self.plans, other.plans, strict=True)])


@dataclass(frozen=True)
class Worth:
    """What choices are worth on q prompts, with m models: NaN where something of it is not known.

    Args:
        right: (q,) 1 or 0 where one model answers, else the probability that the answer which stands is right.
        costs: (q,) of all runs.
        stands: (q, m) probability that the model's answer is the one that stands.
    """

    right: Floats
    costs: Floats
    stands: Floats


def choices_of(policy: Policy, estimator: Estimator, estimates: Estimates) -> Choices:
    """Return what a policy chooses for each prompt of the estimates."""
    if not isinstance(policy, Cascade):
        return Choices(policy.choose(estimator, estimates))
    plans = tuple(policy.plan(estimator, estimates, row) for row in range(len(estimates.p)))
    first = [one.checked[0].column if one.checked else one.last for one in plans]
    return Choices(np.array(first, dtype=np.int64), plans)


def worth_of(choices: Choices, right: Floats, costs: Floats, *, is_truth: bool = True) -> Worth:
    """Return what choices are worth.

    Args:
        right: (q, m) 1.0, 0.0 or NaN where it is known what happened, else probabilities.
        costs: (q, m), NaN where unknown.
        is_truth: whether `right` tells what happened.
    """
    rows = np.arange(len(choices.first))
    found_right, found_costs = right[rows, choices.first], costs[rows, choices.first]
    stands = np.zeros(right.shape)
    stands[rows, choices.first] = 1.0
    for row, plan in enumerate(choices.plans):
        if plan.checked:
            found_right[row], found_costs[row], stands[row] = _worth_of_plan(plan, right[row], costs[row], is_truth)
    return Worth(found_right, found_costs, stands)


def turns(accepted: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return how likely each run is made, and how likely its answer stands; the last one is made without a check.

    Args:
        accepted: the probability that each checked answer is accepted, in turn.
    """
    reached, stands, left = [], [], 1.0
    for share in (*accepted, 1.0):
        reached.append(left)
        stands.append(left * share)
        left *= 1 - share
    return reached, stands


def accepted_share(*, acceptance: float, precision: float, right_share: float | None, is_right: float | None) -> float:
    """Return which share of right answers (1), of wrong ones (0) or of all (None, NaN) a checker accepts."""
    if is_right is None or math.isnan(is_right) or right_share is None or not 0 < right_share < 1:
        return acceptance
    share = acceptance * precision / right_share if is_right else acceptance * (1 - precision) / (1 - right_share)
    return min(1.0, share)


def agreed_rates(right: Floats, categories: Integers, *, wrong_alike: float) -> list[Rates]:
    """Return the rates of an agreement of every two models, modelled from what was right on known prompts.

    Args:
        right: (n, m) 1.0, 0.0 or NaN where nobody judged.
        categories: (n,) of the prompts.
        wrong_alike: assumed share of the prompts on which both are wrong where the two answers are the same.
    """
    found = []
    for category in np.unique(categories):
        rows = right[categories == category]
        for column in range(right.shape[1]):
            for second in range(right.shape[1]):
                one, other = rows[:, column], rows[:, second]
                is_judged = ~np.isnan(one) & ~np.isnan(other)
                both = float(((one == 1) & (other == 1)).sum())
                accepted = both + wrong_alike * float(((one == 0) & (other == 0)).sum())
                if column == second or accepted < LEAST_ACCEPTED:
                    continue
                count = int(is_judged.sum())
                found.append(
                    Rates(
                        checker="agreement", column=column, category=int(category), acceptance=accepted / count,
                        precision=both / accepted, accepted_count=int(accepted), second=second,
                        right_share=float(one[is_judged].mean()), wrong_alike=wrong_alike,
                    )
                )  # fmt: skip
    return found


def _worth_of_plan(plan: Plan, right: Floats, costs: Floats, is_truth: bool) -> tuple[float, float, Floats]:
    accepted = [_accepted(one, right, is_truth) for one in plan.checked]
    reached, standing = turns(accepted)
    of_answers = [float(right[one.column]) if is_truth else one.precision for one in plan.checked]
    of_runs = [
        float(costs[one.column]) + (0.0 if one.second is None else float(costs[one.second])) for one in plan.checked
    ]
    stands = np.zeros(len(right))
    np.add.at(stands, [*(one.column for one in plan.checked), plan.last], standing)
    return (
        weighed(standing, [*of_answers, float(right[plan.last])]),
        weighed(reached, [*of_runs, float(costs[plan.last])]),
        stands,
    )


def weighed(weights: Sequence[float], values: Sequence[float]) -> float:
    """Return the sum of what happens with some probability, without what never happens; NaN where it is unknown."""
    return sum(weight * value for weight, value in zip(weights, values, strict=True) if weight > 0)


def _accepted(rates: Rates, right: Floats, is_truth: bool) -> float:
    own = float(right[rates.column]) if is_truth else None
    if rates.wrong_alike is not None and rates.second is not None and own is not None:
        other = float(right[rates.second])
        if not math.isnan(own) and not math.isnan(other):
            if own == other == 1:
                return 1.0
            return rates.wrong_alike if own == other else 0.0
    return accepted_share(
        acceptance=rates.acceptance, precision=rates.precision, right_share=rates.right_share, is_right=own
    )


def _asked(plan: Plan) -> tuple[object, ...]:
    return (*((one.column, one.checker, one.second) for one in plan.checked), plan.last)
