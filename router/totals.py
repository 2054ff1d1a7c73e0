"""What each model did in each category, summed up: all that estimates need of the known prompts but the neighbours.

Sums add up over parts of the known prompts, so that they can be made of a million of them without holding these. Pure
numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_Z_95 = 1.959963984540054  # 0.975 quantile of the standard normal distribution


@dataclass(frozen=True)
class Totals:
    """Sums over the known prompts of g categories, of m models, (g, m) each.

    Args:
        score_total: of the mean label of each prompt, 0 to 1.
        score_count: prompts with such a mean.
        sci_total: of the mean SCI of each prompt, in gCO2e.
        sci_count: prompts with such a mean.
    """

    score_total: Floats
    score_count: Floats
    sci_total: Floats
    sci_count: Floats

    @classmethod
    def of(
        cls,
        *,
        categories: npt.NDArray[np.int64],
        scores: Floats,
        sci_gco2e: Floats,
        category_count: int | None = None,
    ) -> Self:
        """Sum up known prompts: their (n,) categories, numbered from 0, and their (n, m) scores and SCI.

        Without a count there are as many categories as these prompts have.
        """
        count = int(categories.max()) + 1 if category_count is None else category_count
        return cls(*_summed(categories, scores, count), *_summed(categories, sci_gco2e, count))

    def without(self, columns: Sequence[int]) -> Self:
        """Return the same as if nothing were known of some models."""
        kept = np.ones(self.score_count.shape[1])
        kept[list(columns)] = 0.0
        return type(self)(
            self.score_total * kept, self.score_count * kept, self.sci_total * kept, self.sci_count * kept
        )

    @cached_property
    def model_scores(self) -> Floats:
        """Return the mean score of each model, (m,); NaN without any."""
        return _mean(self.score_total.sum(axis=0), self.score_count.sum(axis=0))

    @cached_property
    def model_sci(self) -> Floats:
        """Return the mean SCI of each model in gCO2e, (m,); NaN without any."""
        return _mean(self.sci_total.sum(axis=0), self.sci_count.sum(axis=0))

    @cached_property
    def best_model(self) -> int:
        """Return the column of the model that is right most often; without any label the first.

        Compared are the lower ends of 95 % intervals, so that a new model with a few labels does not outdo those
        that many speak for; where all are judged on the same prompts it is the highest mean.
        """
        surely, _ = wilson(self.model_scores, self.score_count.sum(axis=0))
        return int(np.argmax(np.nan_to_num(surely, nan=-1.0)))

    def category_scores(self, model_weight: float) -> Floats:
        """Return the mean score in each category, shrunk to the model's with that many labels, (g, m)."""
        return (self.score_total + model_weight * self.model_scores) / (self.score_count + model_weight)

    def category_relative_sci(self, model_weight: float) -> Floats:
        """Return the mean SCI in each category as a share of the model's, shrunk to 1 likewise, (g, m)."""
        share = self.sci_total / self.model_sci
        return (share + model_weight * np.where(np.isnan(self.model_sci), np.nan, 1.0)) / (
            self.sci_count + model_weight
        )


def wilson(p: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Return Wilson's score interval of shares with real-valued sample sizes; NaN stays NaN.

    Source: Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    n = np.maximum(n, 1e-9)
    scale = 1 + _Z_95**2 / n
    centre = (p + _Z_95**2 / (2 * n)) / scale
    half = _Z_95 * np.sqrt(np.maximum(p * (1 - p), 0.0) / n + _Z_95**2 / (4 * n * n)) / scale
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def _summed(categories: npt.NDArray[np.int64], values: Floats, count: int) -> tuple[Floats, Floats]:
    known = ~np.isnan(values)
    totals, counts = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(totals, categories, np.where(known, values, 0.0))
    np.add.at(counts, categories, known.astype(np.float64))
    return totals, counts


def _mean(total: Floats, count: Floats) -> Floats:
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean
