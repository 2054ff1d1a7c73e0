"""Routing policies over many prompts at once: which model each prompt goes to, from estimates. Pure numpy.

Models are columns, in the order of their names: where two cost the same, the first is chosen. What a model costs is
its SCI in gCO2e; a table without SCI may hold joules instead, and then a price of SCI is one per joule.

Sources: the rule `nearest` is the paper's; `guarded`, `knn` and `floor` are described in docs/routing.md.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from router.estimate import Estimates, Estimator, Floats, Integers, Shrinkage, UnusableOutcomes

RIGHT = 0.5  # a score below it counts as wrong
NAMES = ("nearest", "category", "knn", "guarded", "floor", "cascade", "fixed")


class Policy(Protocol):
    """A rule, with what it needs to know of the neighbours."""

    @property
    def name(self) -> str:
        """Return the name under which it is chosen and stored."""

    @property
    def shrinkage(self) -> Shrinkage:
        """Return how the estimates that it wants are made."""

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:
        """Return the column of the chosen model for each prompt, (q,)."""


@dataclass(frozen=True)
class Nearest:
    """The paper's rule: the cheapest model that was right on the nearest prompt; where none was, the cheapest."""

    name: ClassVar[str] = "nearest"
    shrinkage: ClassVar[Shrinkage] = Shrinkage(neighbour_count=1)

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:
        nearest = estimates.neighbours[:, 0]
        cost = estimator.known.sci_gco2e[nearest]
        with np.errstate(invalid="ignore"):
            is_right = estimator.known.scores[nearest] >= RIGHT  # NaN: nobody judged, so not known to be right
        return _first_usable(_cheapest(cost, is_right), _cheapest(cost, np.ones_like(is_right)), estimator)


@dataclass(frozen=True)
class ByCategory:
    """The best of accuracy less the price of SCI in the prompt's category; the control for every other policy.

    The category is that of most neighbours, by similarity; an evaluation that knows it says so with `categories`.
    """

    sci_price: float = 0.0
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    categories: Integers | None = None
    name: ClassVar[str] = "category"

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:
        category = estimates.category if self.categories is None else self.categories
        worth = estimator.category_scores[category] - self.sci_price * estimator.category_sci[category]
        return _first_usable(_highest(worth), _highest(estimator.category_scores[category]), estimator)


@dataclass(frozen=True)
class Knn:
    """The best of the estimated probability less the price of the expected SCI, over many neighbours.

    Args:
        sci_price: lambda, in probability of being right per gCO2e; tuned on prompts that no report is made of.
    """

    sci_price: float = 0.0
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    name: ClassVar[str] = "knn"

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:
        worth = estimates.p - self.sci_price * estimates.sci_gco2e
        return _first_usable(_highest(worth), _highest(estimates.p), estimator)


@dataclass(frozen=True)
class Guarded:
    """Stay with the fallback model; leave it only for a cheaper one that the neighbours show to be no worse.

    A model is taken where the mean of its score less the fallback's, over the neighbours with both, less `caution`
    standard errors, is at least `-tolerance`. A prompt farther from all known ones than `novelty` stays.

    Args:
        fallback: column of the fallback model; None: the model with the highest mean score.
        caution: z, in standard errors.
        tolerance: delta, in accuracy.
        sci_price: what saved SCI makes up for, in accuracy per gCO2e; a carbon budget that runs short asks for one.
        least_pairs: neighbours that both models must be judged on.
        novelty: squared L2 distance of unit embeddings; None: no prompt is new.
    """

    fallback: int | None = None
    caution: float = 0.5
    tolerance: float = 0.0
    sci_price: float = 0.0
    least_pairs: int = 8
    novelty: float | None = None
    shrinkage: Shrinkage = field(default_factory=lambda: Shrinkage(neighbour_count=50))
    name: ClassVar[str] = "guarded"

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:
        fallback = estimator.best_model if self.fallback is None else self.fallback
        pairs = estimator.compare(estimates.neighbours, fallback)
        cost = estimates.sci_gco2e
        least = min(self.least_pairs, estimator.neighbour_count)
        with np.errstate(invalid="ignore"):
            allowed_loss = self.tolerance + self.sci_price * np.maximum(np.nan_to_num(cost[:, [fallback]] - cost), 0.0)
            is_allowed = (pairs.difference - self.caution * pairs.error >= -allowed_loss) & (pairs.count >= least)
            is_allowed &= cost < cost[:, [fallback]]
        if self.novelty is not None:
            is_allowed &= (estimates.squared_distance <= self.novelty)[:, None]
        chosen = _cheapest(cost, is_allowed)
        return np.where(chosen < 0, fallback, chosen)


@dataclass(frozen=True)
class Floor:
    """The cheapest model whose estimated probability reaches a floor; where none does, the most probable one.

    Source: the rule of GAR, arXiv 2605.11603, without its limit of latency.
    """

    accuracy: float
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    name: ClassVar[str] = "floor"

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise UnusableOutcomes("accuracy: the floor must lie between 0 and 1.")

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:
        with np.errstate(invalid="ignore"):
            is_allowed = estimates.p >= self.accuracy
        return _first_usable(_cheapest(estimates.sci_gco2e, is_allowed), _highest(estimates.p), estimator)


@dataclass(frozen=True)
class Fixed:
    """Always the same model."""

    model: int
    name: ClassVar[str] = "fixed"
    shrinkage: ClassVar[Shrinkage] = Shrinkage(neighbour_count=1)

    def choose(self, estimator: Estimator, estimates: Estimates) -> Integers:  # noqa: ARG002  as the others
        return np.full(len(estimates.p), self.model, dtype=np.int64)


def _cheapest(cost: Floats, is_allowed: np.ndarray) -> Integers:
    """Return the cheapest allowed model with a known cost of each row; -1 where there is none."""
    usable = is_allowed & ~np.isnan(cost)
    chosen = np.argmin(np.where(usable, cost, np.inf), axis=1)
    return np.where(usable.any(axis=1), chosen, -1)


def _highest(worth: Floats) -> Integers:
    """Return the model of the highest worth of each row; -1 where no worth is known."""
    known = ~np.isnan(worth)
    chosen = np.argmax(np.where(known, worth, -np.inf), axis=1)
    return np.where(known.any(axis=1), chosen, -1)


def _first_usable(chosen: Integers, otherwise: Integers, estimator: Estimator) -> Integers:
    """Return the first choice, where there is none the second, and else the model that is best over all."""
    chosen = np.where(chosen < 0, otherwise, chosen)
    return np.where(chosen < 0, estimator.best_model, chosen)
