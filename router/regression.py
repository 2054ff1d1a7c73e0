"""Estimates by regression on what a prompt says and looks like, mixed with those of its neighbours. Pure numpy.

Neighbours speak for the kind of a task, hardly for how hard one is. A ridge regression of each model's scores, less
their means by category, finds a part of that in the embedding, in the prompt's words and in its shape (length, words,
numbers, signs, lines). Words are weighed by how rare they are and pressed into a few directions (Deerwester et al.,
Indexing by latent semantic analysis, 1990). Scores of models go together, so that the regression is made on the
principal components of the residuals, each with the strength of ridge that generalized cross-validation asks for
(Golub, Heath and Wahba, 1979); a component that it cannot explain is left out. The same holds for SCI, each model
divided by its own mean. What all models together make of a prompt is then read as its difficulty (`router.difficulty`),
which is most of each model's estimate.

A cell that nobody judged counts as the mean of its category: it pulls the estimate towards that, never away.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router.difficulty import Difficulty
from router.estimate import Estimates, Estimator, Floats, Integers, Known, Shrinkage, UnusableOutcomes
from router.totals import wilson

_STRENGTHS = np.geomspace(0.3, 3000, 25)  # of ridge, for features of about unit length
_SHAPE_SCALE = 0.15  # of a standardised shape feature against an embedding of length 1
_NUMBER = re.compile(r"\d+")
_SIGN = re.compile(r"[^\w\s]")
_WORDS = r"\w+|[^\w\s]"  # a sign is a word
_WORD_DIRECTIONS = 150
_LEAST_TEXTS_WITH_A_WORD = 3
_NEIGHBOUR_SHARE = 0.3  # of an estimate; the rest is of the regression
_DIFFICULTY_SHARE = 0.7  # of the regression's part of a probability
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

        self._directions: Floats | None = None  # (words, directions), in the order in which a text's words are read
        self._weighed = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=_LEAST_TEXTS_WITH_A_WORD, token_pattern=_WORDS
        )
        try:
            weights = self._weighed.fit_transform(texts)
        except ValueError:
            return  # no word is in as many texts: words tell nothing
        directions = min(_WORD_DIRECTIONS, weights.shape[0] - 1, weights.shape[1] - 1)
        if directions > 0:
            with np.errstate(invalid="ignore"):  # texts that are all alike have no variance to explain
                found = TruncatedSVD(directions, random_state=0).fit(weights)
            # its own `transform` would copy all of them for each text
            self._directions = np.ascontiguousarray(found.components_.T)

    def vectors(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors, (n, directions); zeros for a text without a known word."""
        if self._directions is None:
            return np.zeros((len(texts), 0))
        found = np.asarray(self._weighed.transform(texts) @ self._directions, dtype=np.float64)
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
        features = self._features(known.vectors, texts, self._own_categories)
        self._score_fit = _Ridge(features, self._score_residuals)
        self._sci_fit = _Ridge(features, self._sci_residuals)
        self._difficulty = self._learned_difficulty(features, texts)

    def estimate(self, vectors: npt.NDArray[np.float32], texts: Sequence[str] | None = None) -> Estimates:
        """Estimate every model on each of the prompts, (q, d) unit embeddings and their q texts."""
        if texts is None or len(texts) != len(vectors):
            raise UnusableOutcomes("texts: the regression needs the text of every prompt.")
        found = super().estimate(vectors)
        votes = self._votes(found.neighbours)
        features = self._features(vectors, texts, votes)
        priors = votes @ self.category_scores
        scores = self._scores(priors, priors + self._score_fit.predict(features))
        return self._mixed(found, scores, votes @ self._sci_priors + self._sci_fit.predict(features))

    def estimate_known(self, groups: Integers, texts: Sequence[str] | None = None) -> Estimates:
        """Estimate each of the known prompts as if neither it nor another one of its group were known.

        What the regression would be without them follows from its hat matrix, so that nothing is fitted anew; its
        words, components, strengths and slopes, which one prompt hardly moves, stay.
        """
        if texts is None or len(texts) != len(groups):
            raise UnusableOutcomes("texts: the regression needs the text of every prompt.")
        found = super().estimate_known(groups)
        votes = self._votes(found.neighbours)
        own_share = votes[np.arange(len(votes)), self.known.categories][:, None]
        fitted = self._features(self.known.vectors, texts, self._own_categories)
        asked = self._features(self.known.vectors, texts, votes)
        moves = self._moves_without(groups)
        priors = votes @ self.category_scores + own_share * moves[0]
        left_out = self._score_fit.predict_left_out(fitted, self._score_residuals, asked, groups)
        scores = self._scores(priors, priors + left_out)
        relative = votes @ self._sci_priors + own_share * moves[1]
        relative += self._sci_fit.predict_left_out(fitted, self._sci_residuals, asked, groups)
        return self._mixed(found, scores, relative)

    def _learned_difficulty(self, features: Floats, texts: Sequence[str]) -> Difficulty:
        """Fit what the difficulty of a prompt moves to labels of prompts that the regression did not know."""
        groups = np.unique(np.array(texts), return_inverse=True)[1]
        if groups.max() == 0:
            return Difficulty(np.ones(self.known.scores.shape[1]))  # without the only text nothing is known
        priors = self.category_scores[self.known.categories] + self._moves_without(groups)[0]
        left_out = self._score_fit.predict_left_out(features, self._score_residuals, features, groups)
        return Difficulty.learned(priors=priors, expected=priors + left_out, scores=self.known.scores)

    def _scores(self, priors: Floats, linear: Floats) -> Floats:
        by_difficulty = self._difficulty.applied(priors=priors, expected=linear)
        mixed: Floats = _DIFFICULTY_SHARE * by_difficulty + (1 - _DIFFICULTY_SHARE) * np.clip(linear, 0.001, 0.999)
        return mixed

    @property
    def _own_categories(self) -> Floats:
        own: Floats = np.eye(len(self.category_scores))[self.known.categories]
        return own

    @property
    def _score_residuals(self) -> Floats:
        return self.known.scores - self.category_scores[self.known.categories]

    @property
    def _sci_residuals(self) -> Floats:
        return self._relative_sci - self._sci_priors[self.known.categories]

    def _votes(self, neighbours: Integers) -> Floats:
        """Return the shares of the categories among the nearest neighbours, (q, g)."""
        nearest = self.known.categories[neighbours[:, :_CATEGORY_VOTERS]]
        votes = np.zeros((len(nearest), len(self.category_scores)))
        np.add.at(votes, (np.arange(len(votes))[:, None], nearest), 1.0 / nearest.shape[1])
        return votes

    def _mixed(self, found: Estimates, scores: Floats, relative: Floats) -> Estimates:
        """Return what the regression estimates, mixed with what the neighbours do."""
        share = _NEIGHBOUR_SHARE
        p = share * found.p + (1 - share) * scores
        relative = np.maximum(relative, 1e-3)
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
        eigenvalues, self._basis = np.linalg.eigh(centred.T @ centred)
        eigenvalues = np.maximum(eigenvalues, 0.0)
        self._components = np.linalg.svd(outcome, full_matrices=False)[2]
        turned = outcome @ self._components.T
        projected = self._basis.T @ (centred.T @ turned)
        self._shrinking = np.zeros_like(projected)  # (p, c): inverse of eigenvalues and strength; 0 if left out
        n = len(features)
        for column in range(turned.shape[1]):
            strength = _strength(eigenvalues, projected[:, column], float((turned[:, column] ** 2).sum()), n)
            if strength is not None:
                self._shrinking[:, column] = 1.0 / (eigenvalues + strength)
        self._turned_weights = projected * self._shrinking
        self._weights = self._basis @ self._turned_weights @ self._components

    def predict(self, features: Floats) -> Floats:
        predicted: Floats = self._mean + (features - self._features_mean) @ self._weights
        return predicted

    def predict_left_out(self, fitted: Floats, residuals: Floats, features: Floats, groups: Integers) -> Floats:
        """Return what the regression would predict for each of its own prompts without the prompts of its group.

        With H the hat matrix of what was fitted, X that of what is predicted, both over a group G, and e its errors,
        it is the prediction less X (I - H)^-1 e (Cook and Weisberg, Residuals and influence in regression, 1982).

        Args:
            fitted: (n, p) features that it was made of.
            residuals: (n, m) what it was made of.
            features: (n, p) of the same prompts, as they are for one that is not known.
            groups: (n,).
        """
        outcome = np.where(np.isnan(residuals), 0.0, residuals) - self._mean
        own, asked = ((one - self._features_mean) @ self._basis for one in (fitted, features))
        errors = outcome @ self._components.T - own @ self._turned_weights
        left_out = asked @ self._turned_weights
        n = len(groups)
        order = np.argsort(groups, kind="stable")
        bounds = np.flatnonzero(np.r_[True, np.diff(groups[order]) > 0, True])
        sizes = np.diff(bounds)
        alone = order[bounds[:-1][sizes == 1]]
        hat = own[alone] ** 2 @ self._shrinking + 1 / n
        left_out[alone] -= ((own[alone] * asked[alone]) @ self._shrinking + 1 / n) * errors[alone] / (1 - hat)
        for start, size in zip(bounds[:-1][sizes > 1], sizes[sizes > 1], strict=True):
            group = order[start : start + size]
            for column, shrinking in enumerate(self._shrinking.T):
                among = (own[group] * shrinking) @ own[group].T + 1 / n
                across = (asked[group] * shrinking) @ own[group].T + 1 / n
                left_out[group, column] -= across @ np.linalg.solve(np.eye(size) - among, errors[group, column])
        predicted: Floats = self._mean + left_out @ self._components
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
