"""How many labels routing needs, asked for in the chosen order and at random: `make bench-choice`.

Every label of the learned prompts is hidden at first; their costs are known. Labels are given in batches, and after
each the router of many neighbours (k = 20, shrunk to categories) is made anew, its price tuned for a loss of one point
by the labels given so far only: each half of the prompts is routed by the labels of the other half, which it is judged
by. What it saves and loses is then told on prompts that no label was ever given of. Nothing is chosen for a table.
"""

import argparse
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.bench.table import Table as Shown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
_TABLES = ("zeroeval_small", "zeroeval_wide", "llmrouter9")
SHARES = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MOST_LOST = 0.013  # accuracy against the best single model
REACHED = 0.9  # of what all labels save
_NEIGHBOURS, _CATEGORY_WEIGHT, _MODEL_WEIGHT = 20, 60.0, 20.0
_PRICES = np.concatenate([[0.0], np.geomspace(1e-3, 30, 32)])
_RESAMPLES = 400

_Floats = np.ndarray
_Order = Callable[["Task", np.ndarray, int, int], np.ndarray]


@dataclass(frozen=True)
class Near:
    """The known prompts nearest to each prompt, with their weights."""

    rows: np.ndarray
    weights: _Floats

    @classmethod
    def of(cls, asked: np.ndarray, known: np.ndarray, *, is_same: bool) -> "Near":
        cosines = asked @ known.T
        if is_same:
            np.fill_diagonal(cosines, -9.0)  # a prompt is no neighbour of its own
        rows = np.argpartition(-cosines, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
        weights = np.maximum(np.take_along_axis(cosines, rows, axis=1), 1e-3)
        return cls(rows, weights * (_NEIGHBOURS / weights.sum(axis=1, keepdims=True)))


class Task:
    """One split: prompts to label, with what their labels would be, and prompts to report on."""

    def __init__(self, vectors: np.ndarray, categories: np.ndarray, right: _Floats, costs: _Floats, seed: int) -> None:
        chance = np.random.default_rng(seed)
        order = chance.permutation(len(vectors))
        learned, held = np.split(order, [int(0.7 * len(order))])
        self.categories, self.right, self.costs = categories[learned], right[learned], costs[learned]
        self.held_right, self.held_costs = right[held], costs[held]
        self.category_count = int(categories.max()) + 1
        self.near = Near.of(vectors[learned], vectors[learned], is_same=True)
        self.near_held = Near.of(vectors[held], vectors[learned], is_same=False)
        self.halves = chance.random(len(learned)) < 0.5
        self.fallback = int(self.right.mean(axis=0).argmax())
        scale = self.costs.mean(axis=0)
        known = np.ones(self.costs.shape, dtype=bool)
        self.sci = self.estimate(self.costs / scale, known, self.near) * scale / scale.mean()
        self.sci_held = self.estimate(self.costs / scale, known, self.near_held) * scale / scale.mean()

    def estimate(self, values: _Floats, known: np.ndarray, near: Near) -> _Floats:
        """Estimate as `router.estimate` does, with the neighbours found once; unknown models start at one half."""
        shape = (self.category_count, values.shape[1])
        counts, totals = np.zeros(shape), np.zeros(shape)
        np.add.at(counts, self.categories, known.astype(float))
        np.add.at(totals, self.categories, np.where(known, values, 0.0))
        means = (totals.sum(axis=0) + 1) / (counts.sum(axis=0) + 2)
        priors = (totals + _MODEL_WEIGHT * means) / (counts + _MODEL_WEIGHT)
        weight = np.einsum("qk,qkm->qm", near.weights, known[near.rows].astype(float))
        total = np.einsum("qk,qkm->qm", near.weights, np.where(known, values, 0.0)[near.rows])
        prior = np.einsum("qk,qkm->qm", near.weights, priors[self.categories[near.rows]]) / _NEIGHBOURS
        return (total + _CATEGORY_WEIGHT * prior) / (weight + _CATEGORY_WEIGHT)

    def report(self, known: np.ndarray) -> tuple[float, float]:
        """Return change of accuracy and saving on the held-out prompts, with the labels that are known."""
        price = self._price(known)
        worth = self.estimate(self.right, known, self.near_held) - price * self.sci_held
        rows, chosen = np.arange(len(worth)), worth.argmax(axis=1)
        change = self.held_right[rows, chosen].mean() - self.held_right[:, self.fallback].mean()
        return change, 1 - self.held_costs[rows, chosen].mean() / self.held_costs[:, self.fallback].mean()

    def _price(self, known: np.ndarray) -> float:
        first = self.estimate(self.right, known & self.halves[:, None], self.near)
        second = self.estimate(self.right, known & ~self.halves[:, None], self.near)
        best = int(self.estimate(self.right, known, self.near).mean(axis=0).argmax())
        least = (first[:, best].mean() + second[:, best].mean()) / 2 - 0.01
        rows, found = np.arange(len(first)), 0.0
        for price in _PRICES:
            by_first = (first - price * self.sci).argmax(axis=1)
            by_second = (second - price * self.sci).argmax(axis=1)
            if (second[rows, by_first].mean() + first[rows, by_second].mean()) / 2 >= least:
                found = float(price)
        return found


def at_random(task: Task, known: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return cells to label next, by chance."""
    return np.random.default_rng(seed).permutation(np.flatnonzero(~known))[:count]


def as_chosen(task: Task, known: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return cells to label next, as the product orders its queue."""
    from router.label_worth import Strata, label_worth, order_answers

    shape = (task.category_count, known.shape[1])
    labels, right, waiting, costs, prompts = (np.zeros(shape) for _ in range(5))
    np.add.at(labels, task.categories, known.astype(float))
    np.add.at(right, task.categories, np.where(known, task.right, 0.0))
    np.add.at(waiting, task.categories, (~known).astype(float))
    np.add.at(costs, task.categories, task.costs)
    np.add.at(prompts, task.categories, 1.0)
    shares = np.bincount(task.categories, minlength=task.category_count) / len(known)
    worth = label_worth(Strata(labels, right, costs / np.maximum(prompts, 1), waiting, shares), seed=seed)
    rows, models = np.nonzero(~known)
    cells = rows * known.shape[1] + models
    order = order_answers(
        shares=worth.shares, categories=task.categories[rows], models=models, answer_ids=cells,
        prompt_weights=np.ones(len(cells)), seed=seed,
    )  # fmt: skip
    return cells[order[:count]]


def course(task: Task, order: _Order, seed: int) -> np.ndarray:
    """Return change of accuracy and saving at each of `SHARES` of the labels."""
    known, found = np.zeros(task.right.shape, dtype=bool), []
    for share in SHARES:
        wanted = round(share * known.size) - int(known.sum())
        chooser = order if known.any() else at_random  # the first labels are the same for every order
        known.ravel()[chooser(task, known, wanted, seed)] = True
        found.append(task.report(known))
    return np.array(found)


def needed(courses: np.ndarray, least_saving: float) -> float:
    """Return the share of the labels from which on, mean over splits, it saves enough and loses little enough."""
    change, saving = courses.mean(axis=0).T
    holds = (saving >= least_saving) & (change >= -MOST_LOST)
    failing = np.flatnonzero(~holds)
    if len(failing) == 0:
        return SHARES[0]
    return SHARES[failing[-1] + 1] if failing[-1] + 1 < len(SHARES) else float("inf")


def run(shown: Shown, name: str, table: object, *, split_count: int, seed: int) -> None:
    """Print the labels that each order needs, and what it saves on the way."""
    from router.evaluation.table import Table

    assert isinstance(table, Table)
    rows = _usable(table)
    orders = {"random": at_random, "chosen": as_chosen}
    found: dict[str, list[np.ndarray]] = {one: [] for one in orders}
    cell_count = 0
    for number in range(split_count):
        task = Task(table.vectors[rows], table.categories[rows], table.is_right[rows], table.costs[rows], seed + number)
        cell_count = task.right.size
        for one, order in orders.items():
            found[one].append(course(task, order, seed + number))
    courses = {one: np.array(given) for one, given in found.items()}
    whole = courses["random"][:, -1]
    print(  # noqa: T201
        f"\n{name}: {cell_count} labels to give, {split_count} splits; all of them save "
        f"{100 * whole[:, 1].mean():.1f} % at {100 * whole[:, 0].mean():+.2f} points"
    )
    for place, share in enumerate(SHARES):
        told = "   ".join(f"{one} {_figures(given[:, place])}" for one, given in courses.items())
        print(f"  {share:5.0%} {round(share * cell_count):6d} labels   {told}")  # noqa: T201
    _judge(shown, name, courses, cell_count)


def _judge(shown: Shown, name: str, courses: dict[str, np.ndarray], cell_count: int) -> None:
    least = REACHED * float(courses["random"][:, -1, 1].mean())
    shares = {one: needed(given, least) for one, given in courses.items()}
    chance = np.random.default_rng(0)
    count = len(courses["random"])
    drawn = [chance.integers(0, count, count) for _ in range(_RESAMPLES)]
    for one, share in shares.items():
        again = sorted(
            needed(courses[one][rows], REACHED * float(courses["random"][rows, -1, 1].mean())) for rows in drawn
        )
        low, high = again[int(0.025 * _RESAMPLES)], again[int(0.975 * _RESAMPLES) - 1]
        shown.row(
            f"{name}: labels until {100 * least:.1f} % is saved, {one}",
            f"{share * cell_count:.0f} = {share:.0%} [{low:.0%}, {high:.0%}]",
            "no more than random" if one == "chosen" else "",
            is_ok=share <= shares["random"] if one == "chosen" else None,
            n=count,
        )


def _figures(given: np.ndarray) -> str:
    half = 1.96 * given.std(axis=0, ddof=1) / np.sqrt(len(given)) if len(given) > 1 else np.zeros(2)
    change, saving = 100 * given.mean(axis=0)
    return f"{change:+6.2f} ±{100 * half[0]:.2f} points, saves {saving:6.1f} ±{100 * half[1]:.1f} %"


def _usable(table: object) -> np.ndarray:
    """Return the rows of different prompts whose outcomes are whole."""
    from router.evaluation.table import Table

    assert isinstance(table, Table)
    _, first = np.unique(table.groups, return_index=True)
    return first[~np.isnan(table.is_right[first]).any(axis=1) & ~np.isnan(table.costs[first]).any(axis=1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", nargs="*", default=list(_TABLES), choices=_TABLES)
    options = parser.parse_args()

    import django

    from tests import environment  # noqa: F401  a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    from tests.bench.router import TABLES, embedded_tables

    shown = Shown()
    if not TABLES.is_dir():
        shown.skipped("tables of real outcomes", f"{TABLES} is not here")
    else:
        for name, table in embedded_tables(options.tables):
            run(shown, name, table, split_count=options.splits, seed=options.seed)
    print(f"missed: {', '.join(shown.missed) or 'none'}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
