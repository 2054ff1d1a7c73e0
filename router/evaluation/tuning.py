"""Choose the price of SCI on prompts that no report is made of."""

from dataclasses import dataclass, replace

import numpy as np

from router.estimate import Estimates, Estimator, Floats, Integers
from router.policies import ByCategory, Knn

_PRICES = 160  # tried between the lowest and the highest that can make a difference


@dataclass(frozen=True)
class Tuned:
    """The chosen price, and what it did on the prompts that it was chosen on."""

    sci_price: float
    accuracy_change: float
    saving: float
    prompt_count: int


def tune(
    policy: Knn | ByCategory,
    *,
    estimator: Estimator,
    estimates: Estimates,
    right: Floats,
    costs: Floats,
    fallback: int,
    accuracy_change: float,
) -> Tuned:
    """Return the price with the lowest cost among those that change the accuracy by no less than allowed.

    Args:
        estimator: what the estimates come from; it must not know the prompts of the estimates.
        right: (q, m) 1.0, 0.0 or NaN, what truly happened on these prompts.
        costs: (q, m) in the unit of the estimator's.
        fallback: column of the model that is compared with.
        accuracy_change: allowed change of accuracy against the fallback, 0 or below: -0.01 is one point.
    """
    best = Tuned(0.0, 0.0, 0.0, len(right))
    base_right, base_cost = mean_of(right, fallback), mean_of(costs, fallback)
    for price in [0.0, *prices(estimates)]:
        chosen = replace(policy, sci_price=price).choose(estimator, estimates)
        change, saving = mean_of(right, chosen) - base_right, 1 - mean_of(costs, chosen) / base_cost
        if change >= accuracy_change - 1e-12 and saving > best.saving:
            best = Tuned(price, change, saving, len(right))
    return best


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
