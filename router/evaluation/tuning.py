"""Choose the price of SCI, the floor of the probability or a cascade's tolerance on prompts that are not reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from router.cascade import Cascade
from router.estimate import Estimates, Estimator, Floats, Integers
from router.expecting import choices_of, worth_of
from router.policies import ByCategory, Floor, Knn

_PRICES = 160  # tried between the lowest and the highest that can make a difference
_SPAN = 30_000.0  # of the highest by the lowest
_FLOORS = 101  # tried from 0 to 1
_FINER = 40  # tried once more next to the best of these, over as much as lies between three of them
_TOLERANCES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)  # of accuracy

Tunable = Knn | ByCategory | Floor | Cascade


@dataclass(frozen=True)
class Tuned:
    """The chosen price, floor or tolerance, and what it did on the prompts that it was chosen on.

    `saving` is 0 where nothing that was tried keeps to the allowed change of accuracy and saves anything.
    """

    sci_price: float
    accuracy_change: float
    saving: float
    prompt_count: int
    accuracy_floor: float | None = None
    tolerance: float | None = None


def tune(
    policy: Tunable,
    *,
    estimator: Estimator,
    estimates: Estimates,
    right: Floats,
    costs: Floats,
    fallback: int,
    accuracy_change: float,
) -> Tuned:
    """Return the price, floor or tolerance with the lowest cost among those that keep to the allowed change.

    Args:
        accuracy_change: allowed change of accuracy against the fallback, 0 or below: -0.01 is one point.
        estimator, estimates, right, costs, fallback: as `trials` has them.
    """

    def tried(near: Tuned | None) -> list[Tuned]:
        return trials(
            policy, estimator=estimator, estimates=estimates, right=right, costs=costs, fallback=fallback, near=near
        )  # fmt: skip

    return finest_of(tried(None), tried, accuracy_change=accuracy_change)


def finest_of(coarse: Sequence[Tuned], closer: Callable[[Tuned], Sequence[Tuned]], *, accuracy_change: float) -> Tuned:
    """Return the best of what was tried, and of what lies next to it, so that the allowed change is used up.

    Args:
        closer: tries what lies next to one of them.
    """
    best = best_of(coarse, accuracy_change=accuracy_change)
    return best_of([best, *closer(best)], accuracy_change=accuracy_change) if best.saving > 0 else best


def trials(
    policy: Tunable,
    *,
    estimator: Estimator,
    estimates: Estimates,
    right: Floats,
    costs: Floats,
    fallback: int,
    near: Tuned | None = None,
) -> list[Tuned]:
    """Return what every price, floor or tolerance that is tried does on these prompts.

    Args:
        estimator: what the estimates come from; it must not know the prompts of the estimates.
        right: (q, m) 1.0, 0.0 or NaN, what truly happened on these prompts.
        costs: (q, m) in the unit of the estimator's.
        fallback: column of the model that is compared with.
        near: try what lies next to this one, on the side that saves more; None: all that can make a difference.
    """
    base_right, base_cost = mean_of(right, fallback), mean_of(costs, fallback)
    found = []
    for tried in _tried(policy, estimates) if near is None else _tried_near(near):
        worth = worth_of(choices_of(with_tuned(policy, tried), estimator, estimates), right, costs)
        change, saving = _mean(worth.right) - base_right, 1 - _mean(worth.costs) / base_cost
        found.append(replace(tried, accuracy_change=change, saving=saving, prompt_count=len(right)))
    return found


def best_of(tried: Sequence[Tuned], *, accuracy_change: float) -> Tuned:
    """Return what saves most among what changes the accuracy by no less than allowed; what saves nothing if none."""
    is_floor, is_tolerance = tried[0].accuracy_floor is not None, tried[0].tolerance is not None
    best = Tuned(
        0.0, 0.0, 0.0, tried[0].prompt_count, 1.0 if is_floor else None, 0.0 if is_tolerance else None
    )  # fmt: skip
    for one in tried:
        if one.accuracy_change >= accuracy_change - 1e-12 and one.saving > best.saving:
            best = one
    return best


def with_tuned(policy: Tunable, tuned: Tuned) -> Tunable:
    """Return the policy with the price, floor or tolerance that was chosen."""
    if isinstance(policy, Floor):
        return policy if tuned.accuracy_floor is None else replace(policy, accuracy=tuned.accuracy_floor)
    if isinstance(policy, Cascade):
        return policy if tuned.tolerance is None else replace(policy, tolerance=tuned.tolerance)
    return replace(policy, sci_price=tuned.sci_price)


def _tried(policy: Tunable, estimates: Estimates) -> list[Tuned]:
    """Return what is tried: every floor or tolerance, or every price that can make a difference and 0."""
    if isinstance(policy, Floor):
        return [Tuned(0.0, 0.0, 0.0, 0, float(floor)) for floor in np.linspace(0, 1, _FLOORS)]
    if isinstance(policy, Cascade):
        return [Tuned(0.0, 0.0, 0.0, 0, tolerance=tolerance) for tolerance in _TOLERANCES]
    return [Tuned(float(price), 0.0, 0.0, 0) for price in [0.0, *prices(estimates)]]


def _tried_near(near: Tuned) -> list[Tuned]:
    """Return what lies between this one and the second next of those first tried that saves more; no tolerance."""
    if near.tolerance is not None:
        return []
    if near.accuracy_floor is not None:
        lowest = max(near.accuracy_floor - 2 / (_FLOORS - 1), 0.0)
        return [replace(near, accuracy_floor=float(one)) for one in np.linspace(near.accuracy_floor, lowest, _FINER)]
    step = _SPAN ** (1 / (_PRICES - 1))
    return [replace(near, sci_price=near.sci_price * float(one)) for one in np.geomspace(1, step**2, _FINER)]


def prices(estimates: Estimates) -> Floats:
    """Return prices of SCI that span all that can make a difference to these estimates, lowest first."""
    spread_p = np.nanmax(estimates.p, axis=1) - np.nanmin(estimates.p, axis=1)
    spread_cost = np.nanmax(estimates.sci_gco2e, axis=1) - np.nanmin(estimates.sci_gco2e, axis=1)
    scale = np.median(np.maximum(spread_p, 1e-3)) / max(float(np.median(spread_cost)), 1e-12)
    grid: Floats = np.geomspace(scale / 300, scale / 300 * _SPAN, _PRICES)
    return grid


def mean_of(values: Floats, models: Integers | int) -> float:
    """Return the mean of the chosen models' values over the prompts that have one; NaN where none has."""
    return _mean(values[np.arange(len(values)), models])


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
