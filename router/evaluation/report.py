"""What an evaluation found, with intervals: the rows of its table, calibration, steadiness, and all of it as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.intervals import Interval
from router.estimate import Floats, Integers
from router.evaluation.booking import Ledger
from router.evaluation.running import Run

_RESAMPLES = 1000
_BLOCK = 100  # resamples at a time, so that many prompts do not need much memory
FORMAT = 1


@dataclass(frozen=True)
class Row:
    """One approach over all reported prompts of all splits.

    `accuracy` and `cost` are means over splits; `accuracy_change` and `saving` are against the best single model of
    each split, chosen on the learned prompts. Intervals are paired bootstraps over prompt texts, 95 %. `mixture` is the
    accuracy of the best mix of two single models at the same cost. `worst_change` is that of the worst split.
    """

    title: str
    kind: str
    accuracy: Interval
    cost: Interval
    accuracy_change: Interval
    saving: Interval
    worst_change: float
    mixture: float | None
    prices: tuple[float, float] | None
    chosen: dict[str, float]


@dataclass(frozen=True)
class Report:
    """The whole report; `unit` is that of every cost, per prompt."""

    unit: str
    prompt_count: int
    text_count: int
    category_count: int
    split_count: int
    seed: int
    shares: tuple[float, float, float]
    fallbacks: dict[str, int]
    rows: tuple[Row, ...]
    calibration: dict[str, dict[str, Any]]
    steadiness: list[dict[str, Any]]

    def row(self, title: str) -> Row:
        """Return the row of an approach."""
        return next(row for row in self.rows if row.title == title)

    def as_json(self) -> dict[str, Any]:
        """Return everything in the form of the file; `format` is its version."""
        return {"format": FORMAT, **asdict(self)}


def report(run: Run) -> Report:
    """Draw up the report of a run."""
    groups = run.table.groups
    reference = next(ledger for ledger in run.ledgers if ledger.title == "best single")
    weights = _Resampling(groups, seed=run.seed)
    singles = [ledger for ledger in run.ledgers if ledger.kind == "model"]
    return Report(
        unit=run.table.unit,
        prompt_count=len(run.table.texts),
        text_count=int(groups.max()) + 1,
        category_count=len(np.unique(run.table.categories)),
        split_count=run.split_count,
        seed=run.seed,
        shares=run.shares,
        fallbacks=dict(run.fallbacks),
        rows=tuple(_row(ledger, reference, singles, weights, run) for ledger in run.ledgers),
        calibration={
            title: {
                "expected_error": found.expected_error,
                "bins": [
                    {"p": p / count, "right": right / count, "n": int(count)}
                    for p, right, count in zip(found.p, found.right, found.count, strict=True)
                    if count
                ],
            }
            for title, found in run.calibrations.items()
        },
        steadiness=[
            {
                "policy": title,
                "written": name,
                "n": found.prompt_count,
                "unchanged": found.unchanged / found.prompt_count,
                "accuracy_change": (found.right - found.right_before) / found.prompt_count,
                "cost_change": found.cost / found.cost_before - 1,
            }
            for (title, name), found in run.steadiness.items()
            if found.prompt_count
        ],
    )


class _Resampling:
    """Bootstrap over prompt texts: the same draws for every approach, so that differences are paired."""

    def __init__(self, groups: Integers, *, seed: int) -> None:
        self._groups, self._count = groups, int(groups.max()) + 1
        self._chance_seed = seed

    def means(self, ledger: Ledger) -> tuple[Floats, Floats]:
        """Return resampled means of right and of cost, one of each for every draw."""
        sums = np.stack(
            [
                np.bincount(self._groups, weights=values, minlength=self._count)
                for values in (ledger.right, ledger.right_count, ledger.cost, ledger.cost_count)
            ],
            axis=1,
        )
        chance = np.random.default_rng(self._chance_seed)
        shares = np.full(self._count, 1 / self._count)
        drawn = np.concatenate(
            [
                chance.multinomial(self._count, shares, size=_BLOCK).astype(np.float64) @ sums
                for _ in range(_RESAMPLES // _BLOCK)
            ]
        )
        return drawn[:, 0] / drawn[:, 1], drawn[:, 2] / drawn[:, 3]


def _row(ledger: Ledger, reference: Ledger, singles: Sequence[Ledger], weights: _Resampling, run: Run) -> Row:
    own, base = np.array(ledger.splits), np.array(ledger.base)
    right, cost = weights.means(ledger)
    base_right, base_cost = weights.means(reference)
    changes = own[:, 0] - base[:, 0]
    n = run.split_count
    counts = ledger.chosen_counts if ledger.chosen_counts is not None else np.zeros(0)
    total = max(int(counts.sum()), 1)
    prices = [found.sci_price for found in ledger.tuned]
    return Row(
        title=ledger.title,
        kind=ledger.kind,
        accuracy=_interval(float(own[:, 0].mean()), right, n),
        cost=_interval(float(own[:, 1].mean()), cost, n),
        accuracy_change=_interval(float(changes.mean()), right - base_right, n),
        saving=_interval(float((1 - own[:, 1] / base[:, 1]).mean()), 1 - cost / base_cost, n),
        worst_change=float(changes.min()),
        mixture=_mixture(singles, float(own[:, 1].mean())) if ledger.kind == "policy" else None,
        prices=(min(prices), max(prices)) if prices else None,
        chosen={model: int(count) / total for model, count in zip(run.table.models, counts, strict=False) if count},
    )


def _interval(value: float, draws: Floats, n: int) -> Interval:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(value, min(float(low), value), max(float(high), value), n)


def _mixture(singles: Sequence[Ledger], cost: float) -> float | None:
    """Return the accuracy of the best mix of two single models of this mean cost; None where none costs so little.

    The mix is chosen on the reported prompts themselves: no router that must learn could be as good, which makes it a
    hard control.
    """
    points = [tuple(np.array(ledger.splits).mean(axis=0)) for ledger in singles]
    best = None
    for right, price in points:
        if price <= cost:
            best = right if best is None else max(best, right)
        for other_right, other_price in points:
            if price < cost < other_price:
                share = (other_price - cost) / (other_price - price)
                best = max(best or 0.0, share * right + (1 - share) * other_right)
    return None if best is None else float(best)
