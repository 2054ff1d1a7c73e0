"""What to expect of every model on a prompt: its chance of being right and its SCI, from the known prompts around it.

A few neighbours say little, so their word is shrunk: towards what the model did in the neighbours' categories, and that
towards what the model did everywhere. Each figure comes with the evidence behind it. Pure numpy, many prompts at once.

With neighbours j of a prompt, similarities s_j = max(cosine, 0.001), w_j = k s_j / sum(s) and labels C_jm:

    category mean   c_gm = (sum of labels in g + n1 * mean_m) / (labels in g + n1)
    prior           q_m  = sum(w_j c_g(j)m) / k
    estimate        p_m  = (sum(w_j C_jm) + n0 q_m) / (sum(w_j over labelled neighbours) + n0)

The same holds for SCI, where each model is first divided by its own mean, so that dear models do not outweigh others.
"""

from collections.abc import Hashable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from router.totals import Totals, wilson

_Z_95 = 1.959963984540054  # 0.975 quantile of the standard normal distribution
_LEAST_SIMILARITY = 1e-3
_CHUNK = 512  # prompts estimated at a time, so that many do not need much memory
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class UnusableOutcomes(ValueError):
    """What is known cannot be used; the message names the field and the remedy."""


@dataclass(frozen=True)
class Known:
    """What is known of m models on n prompts.

    Args:
        vectors: (n, d) unit embeddings.
        categories: (n,) numbers of the prompts' categories, from 0.
        scores: (n, m) mean of the labels, 0 to 1; NaN where nobody judged.
        label_counts: (n, m) labels behind each score, 0 where there is none.
        sci_gco2e: (n, m) mean SCI in gCO2e; NaN where nothing was measured.
    """

    vectors: npt.NDArray[np.float32]
    categories: Integers
    scores: Floats
    label_counts: Integers
    sci_gco2e: Floats

    def __post_init__(self) -> None:
        shape = self.scores.shape
        if len(shape) != 2 or 0 in shape:
            raise UnusableOutcomes("scores: there must be at least one prompt and one model.")
        if self.label_counts.shape != shape or self.sci_gco2e.shape != shape:
            raise UnusableOutcomes(f"label_counts and sci_gco2e must have the shape of scores, {shape}.")
        if len(self.vectors) != shape[0] or self.categories.shape != (shape[0],):
            raise UnusableOutcomes(f"vectors and categories must have a row for each of the {shape[0]} prompts.")
        if (self.categories < 0).any():
            raise UnusableOutcomes("categories: number them from 0.")
        judged = self.scores[~np.isnan(self.scores)]
        if ((judged < 0) | (judged > 1)).any():
            raise UnusableOutcomes("scores: each must lie between 0 and 1, or be NaN where nobody judged.")
        if ((self.label_counts > 0) != ~np.isnan(self.scores)).any():
            raise UnusableOutcomes("label_counts: a score has at least one label, and a missing score none.")
        if (self.sci_gco2e <= 0).any():  # NaN compares false
            raise UnusableOutcomes("sci_gco2e: each must be above 0, or NaN where nothing was measured.")


@dataclass(frozen=True)
class Shrinkage:
    """How many neighbours speak, and how much evidence they need before they outweigh the priors.

    Args:
        neighbour_count: k.
        category_weight: n0, in labels: how much the neighbours' categories weigh against the neighbours.
        model_weight: n1, in labels: how much a model's mean weighs against one category.
    """

    neighbour_count: int = 20
    category_weight: float = 60.0
    model_weight: float = 20.0

    def __post_init__(self) -> None:
        if self.neighbour_count < 1:
            raise UnusableOutcomes("neighbour_count: at least one neighbour must speak.")
        if self.category_weight < 0 or self.model_weight <= 0:
            raise UnusableOutcomes("category_weight must be at least 0, model_weight above 0.")


@dataclass(frozen=True)
class Estimates:
    """What to expect of m models on q prompts. A figure without any evidence behind it is NaN.

    `p` lies in its 95 % interval `p_low` to `p_high` (Wilson's, with the evidence as its sample size);
    `label_count` counts labels of neighbours, `evidence` is what they and the priors weigh together, in labels.
    `sci_gco2e` has `sci_count` measured neighbours behind it. `squared_distance` is that to the nearest neighbour,
    `category` the one that weighs most among the neighbours.
    """

    p: Floats
    p_low: Floats
    p_high: Floats
    label_count: Integers
    evidence: Floats
    sci_gco2e: Floats
    sci_low: Floats
    sci_high: Floats
    sci_count: Integers
    neighbours: Integers
    squared_distance: Floats
    category: Integers


@dataclass(frozen=True)
class Pairs:
    """How the scores of m models differ from one model's over the neighbours of q prompts, (q, m) each.

    `difference` is the mean over the `count` neighbours on which both are judged (NaN where there is none), `error`
    its standard error, in which one more pair that differs counts, so that a few like pairs do not look certain.
    """

    difference: Floats
    error: Floats
    count: Integers


class Estimator:
    """Estimates from what is known; the means of categories and models are worked out once.

    Args:
        known: what is known.
        shrinkage: how neighbours and priors are weighed.
        totals: sums over all known prompts, where `known` holds but some of them.
    """

    def __init__(self, known: Known, shrinkage: Shrinkage | None = None, totals: Totals | None = None) -> None:
        self.known = known
        self.shrinkage = shrinkage or Shrinkage()
        self.neighbour_count = min(self.shrinkage.neighbour_count, len(known.vectors))
        self.totals = totals or Totals.of(categories=known.categories, scores=known.scores, sci_gco2e=known.sci_gco2e)
        self._vectors = np.ascontiguousarray(known.vectors, dtype=np.float32)
        self._sci_means = self.totals.model_sci
        self._relative_sci = known.sci_gco2e / self._sci_means
        n1 = self.shrinkage.model_weight
        self.category_scores, self._score_weight = self.totals.category_scores(n1), self.totals.score_count
        self._sci_priors = self.totals.category_relative_sci(n1)
        self.category_sci: Floats = self._sci_priors * self._sci_means
        self.model_scores: Floats = self.totals.model_scores
        self._found: tuple[Integers, Floats] | None = None
        self.identity: Hashable = object()  # of what it estimates by, whatever is set otherwise in its copies

    def around(self, rows: Integers, cosines: Floats) -> Self:
        """Return the same for one prompt whose neighbours somebody else has found; the means stay and are shared.

        Args:
            rows: (k,) of the known prompts nearest to it, nearest first, as many as speak.
            cosines: (k,) of the prompt with each.
        """
        other = copy(self)
        other._found, other.identity = (rows, cosines), (self.identity, "around")
        return other

    def with_neighbours(self, count: int | None) -> Self:
        """Return the same with another number of neighbours (None: as it is); the means stay and are shared."""
        if count is None or count == self.shrinkage.neighbour_count:
            return self
        other = copy(self)
        other.shrinkage = replace(self.shrinkage, neighbour_count=count)
        other.neighbour_count = min(count, len(self.known.vectors))
        return other

    def without(self, columns: Sequence[int]) -> Self:
        """Return the same as if nothing were known of some models, so that no policy chooses them."""
        if not columns:
            return self
        other = copy(self)
        other.totals = self.totals.without(columns)
        other.model_scores = _blanked(self.model_scores, columns)
        other.category_scores = _blanked(self.category_scores, columns)
        other.category_sci = _blanked(self.category_sci, columns)
        return other

    @property
    def best_model(self) -> int:
        """Return the column of the model that is right most often; without any label the first."""
        return self.totals.best_model

    def estimate(self, vectors: npt.NDArray[np.float32], texts: Sequence[str] | None = None) -> Estimates:  # noqa: ARG002
        """Estimate every model on each of the prompts.

        Args:
            vectors: (q, d) unit embeddings.
            texts: (q,) what was embedded; neighbours need none.
        """
        return _joined(
            [self._estimate(vectors[start : start + _CHUNK]) for start in range(0, max(len(vectors), 1), _CHUNK)]
        )

    def nearest(self, vectors: npt.NDArray[np.float32], count: int) -> tuple[Integers, Floats]:
        """Return the rows of the nearest known prompts of each prompt and their cosines, (q, count), nearest first.

        Around one prompt (see `around`) they are those that were found, whatever the vector is.
        """
        if self._found is not None:
            rows, cosines = (one[:count] for one in self._found)
            shape = (len(vectors), len(rows))
            return np.broadcast_to(rows, shape), np.broadcast_to(cosines, shape)
        cosines = self._cosines(vectors)
        return _highest(cosines, min(count, cosines.shape[1]))

    def _cosines(self, vectors: npt.NDArray[np.float32]) -> Floats:
        return (vectors.astype(np.float32, copy=False) @ self._vectors.T).astype(np.float64)

    def estimate_known(self, groups: Integers, texts: Sequence[str] | None = None) -> Estimates:  # noqa: ARG002
        """Estimate each of the known prompts as if neither it nor another one of its group were known.

        Both the neighbours and the mean of the prompt's category do without them; the means over all prompts, which
        one prompt hardly moves, stay.

        Args:
            groups: (n,) a number for each known prompt; prompts of one text share it.
            texts: (n,) what was embedded; neighbours need none.

        Raises:
            UnusableOutcomes: all known prompts are of one group.
        """
        count = min(self.neighbour_count, len(groups) - int(np.bincount(groups).max()))
        if count < 1:
            raise UnusableOutcomes("groups: without the prompts of one of them nothing is known.")
        own_priors = [prior[self.known.categories] for prior in (self.category_scores, self._sci_priors)]
        own_priors = [own + move for own, move in zip(own_priors, self._moves_without(groups), strict=True)]
        parts = []
        for start in range(0, len(groups), _CHUNK):
            asked = slice(start, start + _CHUNK)
            cosines = self._cosines(self._vectors[asked])
            cosines[groups[asked, None] == groups[None]] = -np.inf
            rows, near = _highest(cosines, count)
            is_own = (self.known.categories[rows] == self.known.categories[asked, None])[:, :, None]
            priors = (
                np.where(is_own, own[asked, None], prior[self.known.categories[rows]])
                for own, prior in zip(own_priors, (self.category_scores, self._sci_priors), strict=True)
            )
            parts.append(self._estimates(rows, near, *priors))
        return _joined(parts)

    def _moves_without(self, groups: Integers) -> tuple[Floats, Floats]:
        """Return by how much the means of each known prompt's category move without its group, (n, m) each."""
        categories, n1 = self.known.categories, self.shrinkage.model_weight
        keys, members = np.unique(groups * (int(categories.max()) + 1) + categories, return_inverse=True)
        found = []
        for values, prior, count in (
            (self.known.scores, self.category_scores, self.totals.score_count),
            (self._relative_sci, self._sci_priors, self.totals.sci_count),
        ):
            is_known = ~np.isnan(values)
            taken, taken_count = np.zeros((2, len(keys), values.shape[1]))
            np.add.at(taken, members, np.where(is_known, values, 0.0))
            np.add.at(taken_count, members, is_known)
            own, own_count = prior[categories], count[categories]
            left = np.maximum(own_count - taken_count[members], 0.0) + n1
            found.append((own * (own_count + n1) - taken[members]) / left - own)
        return found[0], found[1]

    def compare(self, neighbours: Integers, model: int) -> Pairs:
        """Compare every model with one of them on the neighbours of each prompt, (q, k) rows of the known ones."""
        scores = self.known.scores[neighbours]
        differences = scores - scores[:, :, [model]]
        known = ~np.isnan(differences)
        count = known.sum(axis=1)
        total = np.where(known, differences, 0.0).sum(axis=1)
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        squares = np.where(known, (differences - mean[:, None]) ** 2, 0.0).sum(axis=1)
        return Pairs(mean, np.sqrt((squares + 1) / (count + 1) / np.maximum(count, 1)), count)

    def _estimate(self, vectors: npt.NDArray[np.float32]) -> Estimates:
        rows, cosines = self.nearest(vectors, self.neighbour_count)
        categories = self.known.categories[rows]
        return self._estimates(rows, cosines, self.category_scores[categories], self._sci_priors[categories])

    def _estimates(self, rows: Integers, cosines: Floats, score_priors: Floats, sci_priors: Floats) -> Estimates:
        """Return estimates by neighbours, (q, k), and by the means of their categories, (q, k, m)."""
        weights = np.maximum(cosines, _LEAST_SIMILARITY)
        weights = weights * (rows.shape[1] / weights.sum(axis=1, keepdims=True))
        categories = self.known.categories[rows]
        p, p_weight, _ = self._shrunk(self.known.scores[rows], weights, score_priors)
        relative, sci_weight, spread = self._shrunk(self._relative_sci[rows], weights, sci_priors)
        prior_weight = np.minimum(
            self.shrinkage.category_weight, _weighted_mean(weights, self._score_weight[categories])
        )
        evidence = np.where(np.isnan(p), 0.0, p_weight + prior_weight)
        low, high = wilson(p, evidence)
        sci = relative * self._sci_means
        sci_error = (
            _Z_95 * self._sci_means * spread / np.sqrt(np.maximum(sci_weight + self.shrinkage.category_weight, 1))
        )
        return Estimates(
            p=p,
            p_low=low,
            p_high=high,
            label_count=self.known.label_counts[rows].sum(axis=1),
            evidence=evidence,
            sci_gco2e=sci,
            sci_low=np.maximum(sci - sci_error, 0.0),
            sci_high=sci + sci_error,
            sci_count=(~np.isnan(self._relative_sci[rows])).sum(axis=1),
            neighbours=rows,
            squared_distance=np.maximum(2.0 - 2.0 * cosines[:, 0], 0.0),
            category=self._heaviest(categories, weights),
        )

    def _heaviest(self, categories: Integers, weights: Floats) -> Integers:
        votes = np.zeros((len(categories), len(self._score_weight)))
        np.add.at(votes, (np.arange(len(categories))[:, None], categories), weights)
        heaviest: Integers = votes.argmax(axis=1)
        return heaviest

    def _shrunk(self, values: Floats, weights: Floats, priors: Floats) -> tuple[Floats, Floats, Floats]:
        """Return estimates (q, m), the weight of the neighbours that have a value, and the spread around them."""
        known = ~np.isnan(values)
        weight = np.einsum("qk,qkm->qm", weights, known.astype(np.float64))
        total = np.einsum("qk,qkm->qm", weights, np.where(known, values, 0.0))
        prior = _weighted_mean(weights, priors)
        n0 = self.shrinkage.category_weight
        bottom = weight + n0
        estimate = np.divide(total + n0 * prior, bottom, out=np.full_like(prior, np.nan), where=bottom > 0)
        # half of the estimate squared counts as one more value, so that a single neighbour does not look certain
        squares = np.einsum("qk,qkm->qm", weights, np.where(known, (values - estimate[:, None]) ** 2, 0.0))
        spread = np.sqrt((squares + (estimate / 2) ** 2) / (weight + 1))
        return estimate, weight, spread


_FIELDS = tuple(Estimates.__dataclass_fields__)


def _joined(parts: Sequence[Estimates]) -> Estimates:
    return Estimates(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


def _highest(cosines: Floats, count: int) -> tuple[Integers, Floats]:
    """Return the places of the highest of each row, ties by place, and themselves, (q, count) each."""
    rows = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(cosines, rows, axis=1)
    order = np.lexsort((rows, -near), axis=1)
    return np.take_along_axis(rows, order, axis=1).astype(np.int64), np.take_along_axis(near, order, axis=1)


def adjusted(estimates: Estimates, *, factors: Floats, added_gco2e: Floats, without: Sequence[int] = ()) -> Estimates:
    """Return estimates with each model's SCI times a factor plus an addition, (m,) each, and nothing of some models."""

    def cost(values: Floats) -> Floats:
        return _blanked(values * factors + added_gco2e, without)

    return replace(
        estimates,
        p=_blanked(estimates.p, without),
        p_low=_blanked(estimates.p_low, without),
        p_high=_blanked(estimates.p_high, without),
        sci_gco2e=cost(estimates.sci_gco2e),
        sci_low=cost(estimates.sci_low),
        sci_high=cost(estimates.sci_high),
    )


def _blanked(values: Floats, columns: Sequence[int]) -> Floats:
    if not columns:
        return values
    blanked = values.copy()
    blanked[..., list(columns)] = np.nan
    return blanked


def _weighted_mean(weights: Floats, values: Floats) -> Floats:
    mean: Floats = np.einsum("qk,qkm->qm", weights, values)
    mean /= weights.sum(axis=1, keepdims=True)
    return mean
