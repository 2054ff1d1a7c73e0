"""Choose the price of SCI, or the floor of the probability, on prompts that no report is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from router.estimate import Estimates, Estimator, Floats, Integers
from router.policies import ByCategory, Floor, Knn

_PRICES = 160  # tried between the lowest and the highest that can make a difference
_FLOORS = 101  # tried from 0 to 1


@dataclass(frozen=True)
class Tuned:
    """The chosen price or floor, and what it did on the prompts that it was chosen on.

    `saving` is 0 where nothing that was tried keeps to the allowed change of accuracy and saves anything.
    """

    sci_price: float
    accuracy_change: float
    saving: float
    prompt_count: int
    accuracy_floor: float | None = None


def tune(
    policy: Knn | ByCategory | Floor,
    *,
    estimator: Estimator,
    estimates: Estimates,
    right: Floats,
    costs: Floats,
    fallback: int,
    accuracy_change: float,
) -> Tuned:
    """Return the price or floor with the lowest cost among those that change the accuracy by no less than allowed.

    Args:
        accuracy_change: allowed change of accuracy against the fallback, 0 or below: -0.01 is one point.
        estimator, estimates, right, costs, fallback: as `trials` has them.
    """
    tried = trials(
        policy, estimator=estimator, estimates=estimates, right=right, costs=costs, fallback=fallback
    )  # fmt: skip
    return best_of(tried, accuracy_change=accuracy_change)


def trials(
    policy: Knn | ByCategory | Floor,
    *,
    estimator: Estimator,
    estimates: Estimates,
    right: Floats,
    costs: Floats,
    fallback: int,
) -> list[Tuned]:
    """Return what every price or floor that is tried does on these prompts.

    Args:
        estimator: what the estimates come from; it must not know the prompts of the estimates.
        right: (q, m) 1.0, 0.0 or NaN, what truly happened on these prompts.
        costs: (q, m) in the unit of the estimator's.
        fallback: column of the model that is compared with.
    """
    base_right, base_cost = mean_of(right, fallback), mean_of(costs, fallback)
    found = []
    for tried in _tried(policy, estimates):
        chosen = with_tuned(policy, tried).choose(estimator, estimates)
        change, saving = mean_of(right, chosen) - base_right, 1 - mean_of(costs, chosen) / base_cost
        found.append(replace(tried, accuracy_change=change, saving=saving, prompt_count=len(right)))
    return found


def best_of(tried: Sequence[Tuned], *, accuracy_change: float) -> Tuned:
    """Return what saves most among what changes the accuracy by no less than allowed; what saves nothing if none."""
    is_floor = tried[0].accuracy_floor is not None
    best = Tuned(0.0, 0.0, 0.0, tried[0].prompt_count, 1.0 if is_floor else None)
    for one in tried:
        if one.accuracy_change >= accuracy_change - 1e-12 and one.saving > best.saving:
            best = one
    return best


def with_tuned(policy: Knn | ByCategory | Floor, tuned: Tuned) -> Knn | ByCategory | Floor:
    """Return the policy with the price or floor that was chosen."""
    if isinstance(policy, Floor):
        return policy if tuned.accuracy_floor is None else replace(policy, accuracy=tuned.accuracy_floor)
    return replace(policy, sci_price=tuned.sci_price)


def _tried(policy: Knn | ByCategory | Floor, estimates: Estimates) -> list[Tuned]:
    """Return what is tried: every floor, or every price that can make a difference and 0."""
    if isinstance(policy, Floor):
        return [Tuned(0.0, 0.0, 0.0, 0, float(floor)) for floor in np.linspace(0, 1, _FLOORS)]
    return [Tuned(float(price), 0.0, 0.0, 0) for price in [0.0, *prices(estimates)]]


def prices(estimates: Estimates) -> Floats:
    """Return prices of SCI that span all that can make a difference to these estimates, lowest first."""
    spread_p = np.nanmax(estimates.p, axis=1) - np.nanmin(estimates.p, axis=1)
    spread_cost = np.nanmax(estimates.sci_gco2e, axis=1) - np.nanmin(estimates.sci_gco2e, axis=1)
    scale = np.median(np.maximum(spread_p, 1e-3)) / max(float(np.median(spread_cost)), 1e-12)
    grid: Floats = np.geomspace(scale / 300, scale * 100, _PRICES)
    return grid


def mean_of(values: Floats, models: Integers | int) -> float:
    """Return the mean of the chosen models' values over the prompts that have one; NaN where none has."""
    chosen = values[np.arange(len(values)), models]
    return float(np.nanmean(chosen)) if not np.isnan(chosen).all() else float("nan")
