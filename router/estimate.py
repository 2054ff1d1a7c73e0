"""What to expect of every model on a prompt: its chance of being right and its SCI, from the known prompts around it.

A few neighbours say little, so their word is shrunk: towards what the model did in the neighbours' categories, and that
towards what the model did everywhere. Each figure comes with the evidence behind it. Pure numpy, many prompts at once.

With neighbours j of a prompt, similarities s_j = max(cosine, 0.001), w_j = k s_j / sum(s) and labels C_jm:

    category mean   c_gm = (sum of labels in g + n1 * mean_m) / (labels in g + n1)
    prior           q_m  = sum(w_j c_g(j)m) / k
    estimate        p_m  = (sum(w_j C_jm) + n0 q_m) / (sum(w_j over labelled neighbours) + n0)

The same holds for SCI, where each model is first divided by its own mean, so that dear models do not outweigh others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    """Estimates from what is known; the means of categories and models are worked out once."""

    def __init__(self, known: Known, shrinkage: Shrinkage | None = None) -> None:
        self.known = known
        self.shrinkage = shrinkage or Shrinkage()
        self.neighbour_count = min(self.shrinkage.neighbour_count, len(known.vectors))
        self._vectors = np.ascontiguousarray(known.vectors, dtype=np.float32)
        self._sci_means = _means(known.sci_gco2e)
        self._relative_sci = known.sci_gco2e / self._sci_means
        self.category_scores, self._score_weight = self._priors(known.scores)
        self._sci_priors, _ = self._priors(self._relative_sci)
        self.category_sci: Floats = self._sci_priors * self._sci_means
        self.model_scores: Floats = _means(known.scores)

    @property
    def best_model(self) -> int:
        """Return the column of the model with the highest mean score; without any label the first."""
        return int(np.argmax(np.nan_to_num(self.model_scores, nan=-1.0)))

    def estimate(self, vectors: npt.NDArray[np.float32], texts: Sequence[str] | None = None) -> Estimates:  # noqa: ARG002
        """Estimate every model on each of the prompts.

        Args:
            vectors: (q, d) unit embeddings.
            texts: (q,) what was embedded; neighbours need none.
        """
        parts = [self._estimate(vectors[start : start + _CHUNK]) for start in range(0, max(len(vectors), 1), _CHUNK)]
        return Estimates(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))

    def nearest(self, vectors: npt.NDArray[np.float32], count: int) -> tuple[Integers, Floats]:
        """Return the rows of the nearest known prompts of each prompt and their cosines, (q, count), nearest first."""
        cosines = (vectors.astype(np.float32, copy=False) @ self._vectors.T).astype(np.float64)
        count = min(count, cosines.shape[1])
        rows = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(cosines, rows, axis=1)
        order = np.lexsort((rows, -near), axis=1)
        return np.take_along_axis(rows, order, axis=1).astype(np.int64), np.take_along_axis(near, order, axis=1)

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
        weights = np.maximum(cosines, _LEAST_SIMILARITY)
        weights = weights * (self.neighbour_count / weights.sum(axis=1, keepdims=True))
        categories = self.known.categories[rows]
        p, p_weight, _ = self._shrunk(self.known.scores[rows], weights, self.category_scores[categories])
        relative, sci_weight, spread = self._shrunk(self._relative_sci[rows], weights, self._sci_priors[categories])
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

    def _priors(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the mean of each model in each category, shrunk to its mean, and the labels behind it: (g, m) each."""
        means = _means(values)
        count = int(self.known.categories.max()) + 1
        known = ~np.isnan(values)
        totals, weights = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
        np.add.at(totals, self.known.categories, np.where(known, values, 0.0))
        np.add.at(weights, self.known.categories, known.astype(np.float64))
        n1 = self.shrinkage.model_weight
        return (totals + n1 * means) / (weights + n1), weights


_FIELDS = tuple(Estimates.__dataclass_fields__)


def _means(values: Floats) -> Floats:
    """Return the mean of each column over what is known of it; NaN where that is nothing."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    totals = np.where(known, values, 0.0).sum(axis=0)
    means: Floats = np.divide(totals, counts, out=np.full(values.shape[1], np.nan), where=counts > 0)
    return means


def _weighted_mean(weights: Floats, values: Floats) -> Floats:
    mean: Floats = np.einsum("qk,qkm->qm", weights, values)
    mean /= weights.sum(axis=1, keepdims=True)
    return mean


def wilson(p: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Return Wilson's score interval of shares with real-valued sample sizes; NaN stays NaN.

    Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    n = np.maximum(n, 1e-9)
    scale = 1 + _Z_95**2 / n
    centre = (p + _Z_95**2 / (2 * n)) / scale
    half = _Z_95 * np.sqrt(np.maximum(p * (1 - p), 0.0) / n + _Z_95**2 / (4 * n * n)) / scale
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
