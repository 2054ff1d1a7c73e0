"""How hard a prompt is for all models together, and what that makes of each model's chance. Pure numpy.

What is hopeless or trivial is so for every model: there the dearer ones are hardly better, and between these ends they
are. A sum of effects does not see that; item response theory does (Rasch, Probabilistic models for some intelligence
and attainment tests, 1960), with one difficulty per prompt on the scale of log odds, and how much it moves each model:

    d(x)         = logit(mean over models of r_m(x)) - logit(mean over models of q_m(x))
    logit p_m(x) = logit q_m(x) + b_m d(x)

where q_m is the model's mean in the prompt's categories and r_m what the regression expects. The mean over models is
known better than what sets one apart. Slopes b_m are fitted to the labels, each drawn to the common one.
"""

from dataclasses import dataclass

import numpy as np

from router.estimate import Floats

_LEAST = 0.01  # a probability counts as at least this, and at most as 1 less this, before its odds are taken
_COMMON_WEIGHT = 10.0  # how much information of its own outweighs the common slope
_STEEPEST = 3.0
_STEPS = 8  # of Newton; it converges in four or five


@dataclass(frozen=True)
class Difficulty:
    """How much a prompt's difficulty moves each of m models, (m,)."""

    slopes: Floats

    @classmethod
    def learned(cls, *, priors: Floats, expected: Floats, scores: Floats) -> "Difficulty":
        """Fit the slopes.

        Args:
            priors: (n, m) means of the known prompts' categories, each without the prompt; NaN where nothing is known.
            expected: (n, m) what the regression says of each, without the prompt.
            scores: (n, m) labels, NaN where nobody judged.
        """
        deviation, odds = _deviation(priors, expected)[:, None], _logit(priors)
        is_known = ~np.isnan(scores) & ~np.isnan(odds)
        slopes, common = np.ones(scores.shape[1]), 1.0
        for is_common in (True, False):
            for _ in range(_STEPS):
                p = _probability(odds + slopes * deviation)
                pull = np.where(is_known, (scores - p) * deviation, 0.0).sum(axis=0)
                information = np.where(is_known, p * (1 - p) * deviation**2, 0.0).sum(axis=0)
                if is_common:
                    pull, information = pull.sum(), information.sum()
                step = (pull - _COMMON_WEIGHT * (slopes - common)) / (information + _COMMON_WEIGHT)
                slopes = np.clip(slopes + step, 0.0, _STEEPEST)
            common = float(slopes.mean())
        return cls(slopes)

    def applied(self, *, priors: Floats, expected: Floats) -> Floats:
        """Return the probability of every model to be right, (q, m); NaN where nothing is known of a model."""
        return _probability(_logit(priors) + self.slopes * _deviation(priors, expected)[:, None])


def _deviation(priors: Floats, expected: Floats) -> Floats:
    """Return how much easier than its categories each prompt is, (q,), in log odds; 0 where nothing is known."""
    is_known = ~np.isnan(priors) & ~np.isnan(expected)
    count = np.maximum(is_known.sum(axis=1), 1)
    usual, here = (np.where(is_known, values, 0.0).sum(axis=1) / count for values in (priors, expected))
    return _logit(here) - _logit(usual)


def _logit(p: Floats) -> Floats:
    bounded = np.clip(p, _LEAST, 1 - _LEAST)
    odds: Floats = np.log(bounded / (1 - bounded))
    return odds


def _probability(odds: Floats) -> Floats:
    p: Floats = 1 / (1 + np.exp(-odds))
    return p
