"""Estimates by regression on what a prompt says and looks like, mixed with those of its neighbours. Pure numpy.

Neighbours speak for the kind of a task, hardly for how hard one is. A ridge regression of each model's scores, less
their means by category, finds a part of that in the embedding, in the prompt's words and in its shape (length, words,
numbers, signs, lines). Words are weighed by how rare they are and pressed into a few directions (Deerwester et al.,
Indexing by latent semantic analysis, 1990). Scores of models go together, so that the regression is made on the
principal components of the residuals, each with the strength of ridge that generalized cross-validation asks for
(Golub, Heath and Wahba, 1979); a component that it cannot explain is left out. The same holds for SCI, each model
divided by its own mean.

A cell that nobody judged counts as the mean of its category: it pulls the estimate towards that, never away.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router.estimate import Estimates, Estimator, Floats, Known, Shrinkage, UnusableOutcomes, wilson

_STRENGTHS = np.geomspace(0.3, 3000, 25)  # of ridge, for features of about unit length
_SHAPE_SCALE = 0.15  # of a standardised shape feature against an embedding of length 1
_NUMBER = re.compile(r"\d+")
_SIGN = re.compile(r"[^\w\s]")
_WORDS = r"\w+|[^\w\s]"  # a sign is a word
_WORD_DIRECTIONS = 150
_LEAST_TEXTS_WITH_A_WORD = 3
_NEIGHBOUR_SHARE = 0.3
_CATEGORY_VOTERS = 10


def shapes_of(texts: Sequence[str]) -> Floats:
    """Return what prompts look like, (n, 6): log(1 + x) of characters, words, numbers, signs, lines and backslashes."""
    counts = [
        (
            len(text),
            len(text.split()),
            len(_NUMBER.findall(text)),
            len(_SIGN.findall(text)),
            text.count("\n"),
            text.count("\\"),
        )
        for text in texts
    ]
    return np.log1p(np.array(counts, dtype=np.float64).reshape(len(texts), 6))


class Words:
    """Directions of words, learned from some texts: single words and pairs.

    scikit-learn is imported where it is used: it costs about a second, which no page without a regression shall pay.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._pressed: TruncatedSVD | None = None
        self._weighed = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=_LEAST_TEXTS_WITH_A_WORD, token_pattern=_WORDS
        )
        try:
            weights = self._weighed.fit_transform(texts)
        except ValueError:
            return  # no word is in as many texts: words tell nothing
        directions = min(_WORD_DIRECTIONS, weights.shape[0] - 1, weights.shape[1] - 1)
        if directions > 0:
            self._pressed = TruncatedSVD(directions, random_state=0).fit(weights)

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors, (n, directions); zeros for a text without a known word."""
        if self._pressed is None:
            return np.zeros((len(texts), 0))
        found = np.asarray(self._pressed.transform(self._weighed.transform(texts)), dtype=np.float64)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        unit: Floats = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 1e-9)
        return unit


@dataclass(frozen=True)
class _Standard:
    """Where the shapes of the known prompts lie, so that those of others are put on the same scale."""

    mean: Floats
    spread: Floats


class RegressionEstimator(Estimator):
    """An `Estimator` whose probabilities and SCI are mostly those of the regression.

    Args:
        known: what is known.
        texts: (n,) of the known prompts, as they were embedded.
        shrinkage: of the neighbours' part.
    """

    def __init__(self, known: Known, texts: Sequence[str], shrinkage: Shrinkage | None = None) -> None:
        super().__init__(known, shrinkage)
        if len(texts) != len(known.vectors):
            raise UnusableOutcomes(f"texts: there must be one for each of the {len(known.vectors)} prompts.")
        shapes = shapes_of(texts)
        self._words = Words(texts)
        self._standard = _Standard(shapes.mean(axis=0), shapes.std(axis=0) + 1e-9)
        own = np.eye(len(self.category_scores))[known.categories]
        features = self._features(known.vectors, texts, own)
        self._score_fit = _Ridge(features, known.scores - self.category_scores[known.categories])
        self._sci_fit = _Ridge(features, self._relative_sci - self._sci_priors[known.categories])

    def estimate(self, vectors: npt.NDArray[np.float32], texts: Sequence[str] | None = None) -> Estimates:
        """Estimate every model on each of the prompts, (q, d) unit embeddings and their q texts."""
        if texts is None or len(texts) != len(vectors):
            raise UnusableOutcomes("texts: the regression needs the text of every prompt.")
        found = super().estimate(vectors)
        nearest = self.known.categories[found.neighbours[:, :_CATEGORY_VOTERS]]
        votes = np.zeros((len(vectors), len(self.category_scores)))
        np.add.at(votes, (np.arange(len(votes))[:, None], nearest), 1.0 / nearest.shape[1])
        features = self._features(vectors, texts, votes)
        share = _NEIGHBOUR_SHARE
        p = np.clip(votes @ self.category_scores + self._score_fit.predict(features), 0.001, 0.999)
        p = share * found.p + (1 - share) * p
        relative = np.maximum(votes @ self._sci_priors + self._sci_fit.predict(features), 1e-3)
        sci = share * found.sci_gco2e + (1 - share) * relative * self._sci_means
        low, high = wilson(p, found.evidence)
        move = sci - found.sci_gco2e
        return replace(
            found, p=p, p_low=low, p_high=high, sci_gco2e=sci,
            sci_low=np.maximum(found.sci_low + move, 0.0), sci_high=found.sci_high + move,
        )  # fmt: skip

    def _features(self, vectors: npt.NDArray[np.float32], texts: Sequence[str], categories: Floats) -> Floats:
        """Return embedding, words, shape, and the shape again for each category, (q, d + w + f + g f)."""
        shape = (shapes_of(texts) - self._standard.mean) / self._standard.spread * _SHAPE_SCALE
        by_category = np.einsum("qf,qg->qgf", shape, categories).reshape(len(shape), -1)
        return np.concatenate([vectors.astype(np.float64), self._words.vectors(texts), shape, by_category], axis=1)


class _Ridge:
    """A ridge regression of several outcomes at once, by principal components, each with its own strength."""

    def __init__(self, features: Floats, residuals: Floats) -> None:
        residuals = np.where(np.isnan(residuals), 0.0, residuals)
        self._features_mean, self._mean = features.mean(axis=0), residuals.mean(axis=0)
        centred, outcome = features - self._features_mean, residuals - self._mean
        eigenvalues, basis = np.linalg.eigh(centred.T @ centred)
        eigenvalues = np.maximum(eigenvalues, 0.0)
        components = np.linalg.svd(outcome, full_matrices=False)[2]
        turned = outcome @ components.T
        projected = basis.T @ (centred.T @ turned)
        weights = np.zeros_like(projected)
        n = len(features)
        for column in range(turned.shape[1]):
            strength = _strength(eigenvalues, projected[:, column], float((turned[:, column] ** 2).sum()), n)
            if strength is not None:
                weights[:, column] = projected[:, column] / (eigenvalues + strength)
        self._weights = basis @ weights @ components

    def predict(self, features: Floats) -> Floats:
        predicted: Floats = self._mean + (features - self._features_mean) @ self._weights
        return predicted


def _strength(eigenvalues: Floats, projected: Floats, total: float, n: int) -> float | None:
    """Return the strength with the least generalized cross-validation error; None where the mean alone does better."""
    best, chosen = total / n / (1 - 1 / n) ** 2 if n > 1 else np.inf, None
    for strength in _STRENGTHS:
        freedom = float((eigenvalues / (eigenvalues + strength)).sum()) + 1
        if freedom >= n:
            continue
        shrunk = projected**2 / (eigenvalues + strength)
        left = total - 2 * float(shrunk.sum()) + float((eigenvalues * shrunk / (eigenvalues + strength)).sum())
        error = left / n / (1 - freedom / n) ** 2
        if error < best:
            best, chosen = error, float(strength)
    return chosen
