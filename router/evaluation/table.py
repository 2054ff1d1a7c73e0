"""The outcomes that policies are evaluated on, and their split into parts that share no prompt text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from router.estimate import Floats, Integers, Known, UnusableOutcomes

FEWEST_PROMPTS = 30  # different texts; with fewer, a quarter says nothing of a share
MOST_SPLITS = 1000


@dataclass(frozen=True)
class Table:
    """What m models did on n prompts, each prompt with its embedding.

    Args:
        models: (m,) names, sorted; a column each.
        vectors: (n, d) unit embeddings.
        categories: (n,) numbers into `category_names`.
        texts: (n,) of the prompts; those of the same text are never parted.
        scores: (n, m) 0 to 1; NaN where nobody judged.
        costs: (n, m) above 0, in `unit`; NaN where nothing was measured.
        unit: gCO2e or J.
    """

    models: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    categories: Integers
    category_names: tuple[str, ...]
    texts: tuple[str, ...]
    scores: Floats
    costs: Floats
    unit: str

    def __post_init__(self) -> None:
        if tuple(sorted(self.models)) != self.models:
            raise UnusableOutcomes("models: sort them by name, so that ties go to the name that sorts first.")
        if np.isnan(self.scores).all(axis=0).any() or np.isnan(self.costs).all(axis=0).any():
            raise UnusableOutcomes("scores and costs: every model needs at least one of each; leave the others out.")

    @cached_property
    def groups(self) -> Integers:
        """Return a number for each text, from 0 in the order in which they come first: (n,)."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(text, len(numbers)) for text in self.texts], dtype=np.int64)

    @cached_property
    def is_right(self) -> Floats:
        """Return 1.0 where a score counts as right, 0.0 where as wrong, NaN where nobody judged: (n, m)."""
        return np.where(np.isnan(self.scores), np.nan, (self.scores >= 0.5).astype(np.float64))

    def known(self, rows: Integers) -> Known:
        """Return what a router knows that was given these prompts."""
        right = self.is_right[rows]
        return Known(
            vectors=self.vectors[rows],
            categories=self.categories[rows],
            scores=right,
            label_counts=(~np.isnan(right)).astype(np.int64),
            sci_gco2e=self.costs[rows],
        )


@dataclass(frozen=True)
class Split:
    """Rows of the table to learn from, to choose parameters on, and to report."""

    seed: int
    train: Integers
    calibration: Integers
    test: Integers

    @property
    def learned(self) -> Integers:
        """Return the rows that the reported router knows: all but those of the report."""
        return np.sort(np.concatenate([self.train, self.calibration]))


def require_splittable(texts: Sequence[str]) -> None:
    """Refuse what is too small to be split, before anything costs time.

    Raises:
        UnusableOutcomes: there are too few different prompts.
    """
    count = len(set(texts))
    if count < FEWEST_PROMPTS:
        raise UnusableOutcomes(
            f"prompts: {count} different ones are too few to split; at least {FEWEST_PROMPTS} are needed for a figure."
        )


def split(table: Table, *, seed: int, shares: tuple[float, float, float] = (0.6, 0.15, 0.25)) -> Split:
    """Split by text: shares of the different texts to learn from, to choose parameters on and to report.

    Raises:
        UnusableOutcomes: there are too few different prompts, or the shares are none.
    """
    if min(shares) < 0 or shares[0] == 0 or shares[2] == 0 or abs(sum(shares) - 1) > 1e-9:
        raise UnusableOutcomes("shares: of training, calibration and test must add up to 1; only calibration may be 0.")
    require_splittable(table.texts)
    count = len(set(table.texts))
    order = np.random.default_rng(seed).permutation(count)
    first, second = round(shares[0] * count), round((shares[0] + shares[1]) * count)
    part_of_group = np.empty(count, dtype=np.int64)
    for part, groups in enumerate((order[:first], order[first:second], order[second:])):
        part_of_group[groups] = part
    part_of_row = part_of_group[table.groups]
    train, calibration, test = (np.flatnonzero(part_of_row == part) for part in range(3))
    return Split(seed, train, calibration, test)
