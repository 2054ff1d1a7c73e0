"""The books of an evaluation: what approaches were worth, how true their probabilities were, how steady they are."""

from dataclasses import dataclass, field

import numpy as np

from router.estimate import Floats, Integers
from router.evaluation.tuning import Tuned
from router.expecting import Worth


@dataclass
class Ledger:
    """What one approach was worth: sums over the splits for each prompt of the table, and means for each split."""

    title: str
    kind: str
    right: Floats
    cost: Floats
    right_count: Integers
    cost_count: Integers
    splits: list[tuple[float, float]] = field(default_factory=list)
    base: list[tuple[float, float]] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)
    chosen_counts: Floats | None = None

    def add(self, rows: Integers, right: Floats, cost: Floats, base: tuple[float, float]) -> None:
        """Book what happened on the reported prompts of one split."""
        for total, count, values in ((self.right, self.right_count, right), (self.cost, self.cost_count, cost)):
            known = ~np.isnan(values)
            total[rows[known]] += values[known]
            count[rows[known]] += 1
        self.splits.append((mean_of_known(right), mean_of_known(cost)))
        self.base.append(base)


def mean_of_known(values: Floats) -> float:
    """Return the mean of the values that are known; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


@dataclass
class Calibration:
    """Shown probabilities against what happened, in ten bins: sums of p, of rights, and counts."""

    p: Floats = field(default_factory=lambda: np.zeros(10))
    right: Floats = field(default_factory=lambda: np.zeros(10))
    count: Integers = field(default_factory=lambda: np.zeros(10, dtype=np.int64))

    def add(self, p: Floats, right: Floats) -> None:
        known = ~np.isnan(p) & ~np.isnan(right)
        bins = np.minimum((p[known] * 10).astype(np.int64), 9)
        np.add.at(self.p, bins, p[known])
        np.add.at(self.right, bins, right[known])
        np.add.at(self.count, bins, 1)

    @property
    def expected_error(self) -> float:
        """Return the expected calibration error: the mean gap of p and share right, weighted by the counts."""
        return float(np.abs(self.p - self.right).sum() / max(int(self.count.sum()), 1))


@dataclass
class Steadiness:
    """What a policy did with prompts written slightly otherwise."""

    unchanged: int = 0
    prompt_count: int = 0
    right: float = 0.0
    right_before: float = 0.0
    cost: float = 0.0
    cost_before: float = 0.0

    def add(self, is_same: np.ndarray, *, before: Worth, after: Worth) -> None:
        known = ~np.isnan(before.right) & ~np.isnan(after.right) & ~np.isnan(before.costs) & ~np.isnan(after.costs)
        self.unchanged += int(is_same[known].sum())
        self.prompt_count += int(known.sum())
        self.right_before += float(before.right[known].sum())
        self.right += float(after.right[known].sum())
        self.cost_before += float(before.costs[known].sum())
        self.cost += float(after.costs[known].sum())
