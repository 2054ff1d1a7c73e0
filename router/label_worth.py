"""Which labels would change where prompts go, and in which order to ask for them. Pure numpy.

What a model is worth in a category is its chance p of being right less the price of SCI times its SCI s. Each chance
is known as a beta distribution: its labels, and a few more that say what the model did everywhere. Chances are drawn
from these; where a draw finds another model better than the one that is ahead, by d, a label of either may change the
routing, and each is worth half of d, times the category's share of the prompts:

    worth_gm = share_g mean over draws((max_j u_gj - u_gb) (m is the best of the draw) / 2), and b has the other halves

Half of it is worked out at the price of SCI, half at none: the second keeps well known how good the best model is,
which the price is set by.

A model that is dear and bad never leads in a draw, so that few labels suffice for it; two cheap models that are close
get many. The rule is that of top-two Thompson sampling (Russo, 2016), with the worth of the change as its weight.
"""

from dataclasses import dataclass

import numpy as np

from router.estimate import Floats, Integers, UnusableOutcomes

_PRIOR_LABELS = 4.0  # that say what a model did everywhere, in each category
_DRAWS = 400
_PRICES = 64
_LEAST_LABELS = 0.05  # of either kind in a beta distribution, which has none at 0
# Of the labels, so many are spread over everything: what is believed too firmly is found out.
EVEN_SHARE = 0.1


@dataclass(frozen=True)
class Strata:
    """What is known of m models in g categories, and what waits there.

    Args:
        label_counts: (g, m) answers with a verdict; `right_counts` of these are right.
        sci_gco2e: (g, m) mean SCI, or the model's mean where the category has none; NaN where nothing was measured.
        waiting_counts: (g, m) answers that could be judged.
        prompt_shares: (g,) how much the prompts of a category weigh, together 1.
    """

    label_counts: Floats
    right_counts: Floats
    sci_gco2e: Floats
    waiting_counts: Floats
    prompt_shares: Floats

    def __post_init__(self) -> None:
        shape = self.label_counts.shape
        if len(shape) != 2 or 0 in shape:
            raise UnusableOutcomes("label_counts: there must be at least one category and one model.")
        if any(one.shape != shape for one in (self.right_counts, self.sci_gco2e, self.waiting_counts)):
            raise UnusableOutcomes(f"right_counts, sci_gco2e and waiting_counts must have the shape {shape}.")
        if self.prompt_shares.shape != shape[:1]:
            raise UnusableOutcomes(f"prompt_shares must have one figure for each of the {shape[0]} categories.")
        if (self.right_counts > self.label_counts).any() or (self.right_counts < 0).any():
            raise UnusableOutcomes("right_counts: from 0 to label_counts.")


@dataclass(frozen=True)
class Worth:
    """What labels are worth, by category and model.

    `shares` (g, m) says how the next labels are shared out, together 1, and 0 where nothing waits; `changes` (g, m)
    how likely a draw puts a model ahead that is not; `p` (g, m) is the expected chance, `sci_price` the price of SCI
    in chance per gCO2e, and `leading` (g,) the model that is ahead.
    """

    shares: Floats
    changes: Floats
    p: Floats
    sci_price: float
    leading: Integers


def label_worth(strata: Strata, *, seed: int, accuracy_loss: float = 0.01) -> Worth:
    """Return what the labels of each category and model are worth.

    Args:
        seed: of the draws.
        accuracy_loss: how much accuracy routing may lose against the best single model; sets the price of SCI.
    """
    usable = ~np.isnan(strata.sci_gco2e)
    sci = np.where(usable, strata.sci_gco2e, 0.0)
    p, weight = _chances(strata)
    price = _price(p, sci, usable, strata.prompt_shares, accuracy_loss)
    right, wrong = np.maximum(p * weight, _LEAST_LABELS), np.maximum((1 - p) * weight, _LEAST_LABELS)
    drawn = np.random.default_rng(seed).beta(right, wrong, size=(_DRAWS, *p.shape))
    worth, changes = _contested(p, drawn, usable, strata.prompt_shares)
    if price > 0:
        at_price, changes_at_price = _contested(p - price * sci, drawn - price * sci, usable, strata.prompt_shares)
        worth, changes = worth + at_price, np.maximum(changes, changes_at_price)
    leading = np.where(usable, p - price * sci, -np.inf).argmax(axis=1)
    return Worth(_shared_out(worth, strata.waiting_counts), changes, p, price, leading)


def order_answers(
    *, shares: Floats, categories: Integers, models: Integers, answer_ids: Integers, prompt_weights: Floats, seed: int
) -> Integers:
    """Return the numbers of n waiting answers, the first to judge first.

    A weighted shuffle: an answer comes the earlier the more its kind is worth, and the more its prompt weighs. Which
    prompts are taken differs from model to model: the same few prompts for all would say less of the others.

    Args:
        shares: (g, m) of `label_worth`.
        categories: (n,) rows of `shares`; `models` (n,) its columns.
        answer_ids: (n,) with the seed they give each answer its chance, whatever else waits.
        prompt_weights: (n,) above 0: 1 for a prompt like any other, more for one that more live prompts lie near.
        seed: of the shuffling.
    """
    counts = np.zeros(shares.shape)
    np.add.at(counts, (categories, models), 1.0)
    each = (shares / np.maximum(counts, 1.0))[categories, models] * prompt_weights
    keys = -np.log(_shuffled(answer_ids, seed)) / np.maximum(each, 1e-300)
    return np.lexsort((answer_ids, keys)).astype(np.int64)


def _chances(strata: Strata) -> tuple[Floats, Floats]:
    """Return the expected chance of each model in each category, and the labels behind it."""
    overall = (strata.right_counts.sum(axis=0) + 1) / (strata.label_counts.sum(axis=0) + 2)
    weight = strata.label_counts + _PRIOR_LABELS
    return (strata.right_counts + _PRIOR_LABELS * overall) / weight, weight


def _contested(expected: Floats, drawn: Floats, usable: np.ndarray, prompt_shares: Floats) -> tuple[Floats, Floats]:
    """Return what labels are worth and how likely a draw overtakes, where models are worth so much: (g, m) each."""
    rows = np.arange(len(expected))
    leading = np.where(usable, expected, -np.inf).argmax(axis=1)
    best = np.where(usable, drawn, -np.inf).argmax(axis=2)
    best = np.where(usable.any(axis=1), best, leading)
    gain = np.take_along_axis(drawn, best[:, :, None], axis=2)[:, :, 0] - drawn[:, rows, leading]
    gain = gain * prompt_shares / len(drawn)
    worth, changes = np.zeros(expected.shape), np.zeros(expected.shape)
    places = np.broadcast_to(rows, best.shape), best
    np.add.at(worth, places, gain / 2)
    np.add.at(worth, (rows, leading), gain.sum(axis=0) / 2)
    np.add.at(changes, places, (best != leading) / len(drawn))
    return worth, changes


def _price(p: Floats, sci: Floats, usable: np.ndarray, prompt_shares: Floats, accuracy_loss: float) -> float:
    """Return the highest price of SCI at which the leading models lose no more accuracy than allowed."""
    costs = sci[usable]
    if len(costs) == 0 or costs.max() <= 0:
        return 0.0
    least = (prompt_shares @ np.where(usable, p, 0.0)).max() - accuracy_loss
    rows, price = np.arange(len(p)), 0.0
    for tried in np.geomspace(1e-3, 30, _PRICES) / costs.mean():
        chosen = np.where(usable, p - tried * sci, -np.inf).argmax(axis=1)
        if prompt_shares @ p[rows, chosen] >= least:
            price = float(tried)
    return price


def _shared_out(worth: Floats, waiting: Floats) -> Floats:
    """Return shares of the labels where something waits: most by worth, the rest evenly over what waits."""
    if waiting.sum() <= 0:
        return np.zeros(worth.shape)
    even: Floats = waiting / waiting.sum()
    worth = np.where(waiting > 0, worth, 0.0)
    if worth.sum() <= 0:
        return np.asarray(even, dtype=np.float64)
    shared: Floats = (1 - EVEN_SHARE) * worth / worth.sum() + EVEN_SHARE * even
    return shared


def _shuffled(answer_ids: Integers, seed: int) -> Floats:
    """Return a number above 0 and below 1 for each answer, always the same one for the same seed (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = answer_ids.astype(np.uint64) + np.uint64(seed % 2**63) * np.uint64(0x9E3779B97F4A7C15)
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
